import { redisDiscovery } from "@stator/runtime/redis";
import { startServer, type ServerProcess } from "@stator/runtime/testing";
import { trial, type Trial } from "../../trial.ts";
import type { RowContext, RowResult } from "../../row.ts";

/** Something happens to the Redis that discovery is in, under load; the workers stay what they are. */
export async function storeFault(
  context: RowContext,
  faults: number,
  happen: (redis: ServerProcess, trial: Trial) => Promise<readonly number[]>,
): Promise<RowResult> {
  await using redis = await startServer("redis");
  const discovery = { discovery: redisDiscovery({ url: redis.url }), address: redis.url };
  return await trial(context, { discovery }, async (one) => {
    const { rig } = one;
    let left = 0;
    const stop = rig.runtime.workers().onChange(({ type }) => (left += type === "left" ? 1 : 0));
    const recoveryMs = await happen(redis, one);
    stop();
    return { faults, confirmed: faults, recoveryMs, more: { left } };
  });
}
