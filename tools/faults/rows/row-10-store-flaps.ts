import type { Row } from "../row.ts";
import { pause, storeFault } from "./store.ts";

export const row10: Row = {
  row: 10,
  title: "Redis flaps: gone every 2 s, with its data and without",
  needs: "redis-server",
  engines: ["simulated"],
  zero: ["left"],
  run: (context) =>
    storeFault(context, context.profile.fewFaults, async (redis) => {
      for (let i = 0; i < context.profile.fewFaults; i++) {
        await redis.stop();
        await pause(1_000);
        await redis.start(i % 2 === 0 ? "empty" : "kept");
        await pause(1_000);
      }
      return [];
    }),
};
