import type { Row } from "../../row.ts";
import { trial } from "../../trial.ts";
import { untilEnough } from "../../workers-left.ts";

export const row03: Row = {
  row: 3,
  title: "Engine stuck while its process goes on",
  engines: ["simulated"],
  most: { detectP99Ms: 2_500 },
  zero: ["falsePositives"],
  run: (context) =>
    trial(context, {}, async ({ rig, streaming, graph, passed }) => {
      const detectMs: number[] = [];
      const recoveries: Promise<number>[] = [];
      let confirmed = 0;
      // Undisturbed first: nobody is taken for stuck.
      await passed(context.profile.clients);
      const falsePositives = graph.counts.resumed + graph.counts.restarted;
      for (let i = 0; i < context.profile.faults; i++) {
        await untilEnough(rig);
        const { worker } = await streaming();
        const handle = rig.handle(worker)!;
        const struckMs = performance.now();
        await rig.command(worker, "freeze");
        detectMs.push((await rig.unselectable(handle)) - struckMs);
        if (handle.health.condition === "stuck") confirmed += 1;
        const thawedMs = performance.now();
        await rig.command(worker, "thaw");
        recoveries.push(rig.selectable(worker).then((atMs) => atMs - thawedMs));
      }
      const recoveryMs = await Promise.all(recoveries);
      return { faults: context.profile.faults, confirmed, detectMs, recoveryMs, more: { falsePositives } };
    }),
};
