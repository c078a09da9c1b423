import { createRequest } from "@stator/core";
import { createPool, migrating } from "@stator/router";
import { collect, createTestCluster } from "@stator/testing";
import { expect, test } from "vitest";

test("the README's stream survives its worker", async () => {
  const cluster = await createTestCluster({ workers: [{ role: "decode", count: 2 }] });
  const engine = migrating(createPool({ workers: cluster.runtime.workers() }));
  const request = createRequest({ id: "1", model: "tiny", promptIds: Uint32Array.of(72, 105) });
  const run = collect(engine, request);
  cluster.kill("decode-0", { afterTokens: 5 });
  expect(await run).toEqual(await cluster.undisturbed(request));
  await cluster.close();
});
