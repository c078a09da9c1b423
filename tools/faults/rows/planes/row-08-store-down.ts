import type { Row } from "../../row.ts";
import { pause } from "../../pause.ts";
import { storeFault } from "./store.ts";

export const row08: Row = {
  row: 8,
  title: "Redis down, then frozen; a worker that comes meanwhile is found after its return",
  needs: "redis-server",
  engines: ["simulated"],
  most: { recoveryMs: 3_000 },
  zero: ["left"],
  run: (context) =>
    storeFault(context, 2, async (redis, { rig }) => {
      const recoveryMs: number[] = [];
      for (const [i, how] of (["stopped", "frozen"] as const).entries()) {
        if (how === "stopped") await redis.stop();
        else redis.signal("SIGSTOP");
        const name = `decode-${10 + i}`;
        const added = rig.add({ name, role: "decode" });
        // It is awaited once the store is back; until then nobody else may see it fail.
        added.catch(() => undefined);
        await pause(context.profile.outageMs);
        const backMs = performance.now();
        if (how === "stopped") await redis.start();
        else redis.signal("SIGCONT");
        await added;
        recoveryMs.push(performance.now() - backMs);
      }
      return recoveryMs;
    }),
};
