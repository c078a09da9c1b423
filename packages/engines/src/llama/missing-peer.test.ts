import { expect, it, vi } from "vitest";

import { createLlamaEngine } from "./llama-engine.ts";
import { tinyModelPath } from "./tiny-model.ts";

vi.mock("node-llama-cpp", () => {
  throw new Error("Cannot find package 'node-llama-cpp'");
});

it("says in one sentence what to install when node-llama-cpp is not there", async () => {
  await expect(createLlamaEngine({ modelPath: tinyModelPath() })).rejects.toMatchObject({
    code: "ENGINES_LLAMA_MISSING",
    kind: "unavailable",
    message: expect.stringMatching(
      /^The llama engine needs node-llama-cpp.*npm install node-llama-cpp@[\d.]+`\.$/,
    ) as string,
  });
});
