import { until } from "@stator/testing";
import type { Row } from "../../row.ts";
import { trial } from "../../trial.ts";
import { untilEnough } from "../../workers-left.ts";

export const row19: Row = {
  row: 19,
  title: "Worker runs out of memory",
  engines: ["simulated"],
  run: (context) =>
    trial(context, { nodeArgs: ["--max-old-space-size=128"] }, async ({ rig, streaming }) => {
      const recoveryMs: number[] = [];
      let confirmed = 0;
      for (let i = 0; i < context.profile.fewFaults; i++) {
        await untilEnough(rig);
        const { worker } = await streaming();
        const { epoch } = rig.handle(worker)!.worker;
        const victim = rig.process(worker);
        const { restarts } = victim;
        await rig.command(worker, "devour");
        await until(`${worker} is started again`, () => victim.restarts > restarts);
        const diedMs = performance.now();
        if (victim.lastExit?.reason === "outOfMemory") confirmed += 1;
        recoveryMs.push((await rig.selectable(worker, epoch)) - diedMs);
      }
      return { faults: context.profile.fewFaults, confirmed, recoveryMs };
    }),
};
