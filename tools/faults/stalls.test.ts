import { expect, test } from "vitest";
import { watchStalls } from "./stalls.ts";

test("a process that stood still says for how long at least, also when it ends in the middle of it", async () => {
  const stand = (ms: number): unknown => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
  const seen = watchStalls();
  await new Promise((resolve) => setTimeout(resolve, 0));
  stand(150);
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(seen.stop()).toBeGreaterThan(100);
  const last = watchStalls();
  stand(150);
  expect(last.stop()).toBeGreaterThan(100);
});
