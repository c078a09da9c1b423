import { until } from "@stator/testing";
import type { Row } from "../../row.ts";
import { trial } from "../../trial.ts";

export const row24: Row = {
  row: 24,
  title: "Rolling SIGTERM of every worker",
  engines: ["simulated"],
  most: { detectP99Ms: 100 },
  zero: ["badExits"],
  run: (context) =>
    trial(context, {}, async ({ rig }) => {
      const detectMs: number[] = [];
      const recoveryMs: number[] = [];
      let badExits = 0;
      for (const { name } of rig.workers) {
        const handle = rig.handle(name)!;
        const victim = rig.process(name);
        const { restarts } = victim;
        const struckMs = performance.now();
        victim.signal("SIGTERM");
        detectMs.push((await rig.unselectable(handle)) - struckMs);
        await until(`${name} has ended and is started again`, () => victim.restarts > restarts);
        if (victim.lastExit?.code !== 0) badExits += 1;
        recoveryMs.push((await rig.selectable(name, handle.worker.epoch)) - struckMs);
      }
      return {
        faults: rig.workers.length,
        confirmed: rig.workers.length,
        detectMs,
        recoveryMs,
        more: { badExits },
      };
    }),
};
