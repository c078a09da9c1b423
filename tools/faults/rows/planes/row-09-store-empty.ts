import { redisDiscovery } from "@stator/runtime/redis";
import { createRuntime } from "@stator/runtime";
import { until } from "@stator/testing";
import type { Row } from "../../row.ts";
import { pause } from "../../pause.ts";
import { storeFault } from "./store.ts";

export const row09: Row = {
  row: 9,
  title: "Redis returns empty",
  needs: "redis-server",
  engines: ["simulated"],
  most: { recoveryMs: 2_000 },
  zero: ["left"],
  run: (context) =>
    storeFault(context, context.profile.fewFaults, async (redis, { rig }) => {
      const recoveryMs: number[] = [];
      for (let i = 0; i < context.profile.fewFaults; i++) {
        await redis.stop();
        await pause(300);
        await redis.start("empty");
        const backMs = performance.now();
        // Who looks only now must find all of them in the store.
        await using late = await createRuntime({ discovery: redisDiscovery({ url: redis.url }) });
        const seen = late.workers();
        await until("the set is complete again", () => seen.current().length === rig.workers.length);
        recoveryMs.push(performance.now() - backMs);
      }
      return recoveryMs;
    }),
};
