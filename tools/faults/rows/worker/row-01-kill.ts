import { until } from "@stator/testing";
import type { Row } from "../../row.ts";
import { trial } from "../../trial.ts";
import { untilEnough } from "../../workers-left.ts";

export const row01: Row = {
  row: 1,
  title: "Worker SIGKILL in the middle of streams",
  engines: ["simulated", "llama"],
  most: { detectP99Ms: 100, gapP99Ms: 500 },
  run: (context) =>
    trial(context, {}, async ({ rig, streaming }) => {
      const detectMs: number[] = [];
      const recoveries: Promise<number>[] = [];
      let confirmed = 0;
      for (let i = 0; i < context.profile.faults; i++) {
        await untilEnough(rig);
        const { worker } = await streaming();
        const handle = rig.handle(worker)!;
        const victim = rig.process(worker);
        const { restarts } = victim;
        const struckMs = performance.now();
        victim.signal("SIGKILL");
        detectMs.push((await rig.unselectable(handle)) - struckMs);
        recoveries.push(rig.selectable(worker, handle.worker.epoch).then((atMs) => atMs - struckMs));
        await until("the killed worker is started again", () => victim.restarts > restarts);
        if (victim.lastExit?.signal === "SIGKILL") confirmed += 1;
      }
      return {
        faults: context.profile.faults,
        confirmed,
        detectMs,
        recoveryMs: await Promise.all(recoveries),
      };
    }),
};
