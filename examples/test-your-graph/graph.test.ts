import { expect, test } from "vitest";
import { createRequest } from "@stator/core";
import { collect, createTestCluster } from "@stator/testing";
import { graph } from "./graph.ts";

const request = createRequest({
  id: "1",
  model: "tiny",
  promptIds: Uint32Array.from({ length: 40 }, (_, i) => 3 + i),
  limits: { maxTokens: 24, ignoreEos: true },
});

test("a decode worker may die in the middle: the output is the same", async () => {
  await using cluster = await createTestCluster({ workers: [{ model: "tiny", role: "decode", count: 2 }] });
  const run = collect(graph(cluster.runtime)["tiny"]!, request);
  cluster.kill("decode-0", { afterTokens: 5 });
  expect(await run).toEqual(await cluster.undisturbed(request));
});
