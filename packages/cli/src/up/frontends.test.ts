import { expect, test } from "vitest";
import { runUp } from "../../test/run-up.ts";
import { runLoad } from "../load/load.ts";

test("several frontends share one port, and one that dies is replaced", async () => {
  const up = await runUp(["--engine", "simulated", "--prefill", "0", "--decode", "1", "--frontends", "2"]);
  const load = { url: up.url, requests: 24, concurrency: 6, outputTokens: 4 };
  expect(await runLoad(load)).toMatchObject({ failed: 0 });
  const [first, second] = await up.pids("main.js frontend");
  expect(second).toBeDefined();
  process.kill(first!, "SIGKILL");
  await expect
    .poll(async () => (await up.pids("main.js frontend")).filter((pid) => pid !== first).length, {
      timeout: 20_000,
    })
    .toBe(2);
  await expect.poll(async () => (await runLoad(load)).failed, { timeout: 20_000 }).toBe(0);
  expect(await up.stop()).toBe(0);
});
