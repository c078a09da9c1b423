import { expect, test } from "vitest";
import { collectIds, createRequest, defineEngine } from "@stator/core";

test("the README's engine echoes its prompt", async () => {
  const tokenizer = { json: "{}", digest: "none", specialIds: { eos: [0] } };
  const echo = defineEngine({ model: "echo", contextTokens: 4096, tokenizer }, async function* (request) {
    for (const id of request.promptIds) yield { ids: [id] };
  });
  const request = createRequest({ id: "1", model: "echo", promptIds: Uint32Array.of(3, 5, 8) });
  expect(await collectIds(echo, request)).toEqual([3, 5, 8]);
});
