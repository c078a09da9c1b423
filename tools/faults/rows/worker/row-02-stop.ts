import type { Row } from "../../row.ts";
import { trial } from "../../trial.ts";
import { untilEnough } from "../../workers-left.ts";

export const row02: Row = {
  row: 2,
  title: "Worker frozen by SIGSTOP, thawed later",
  engines: ["simulated", "llama"],
  most: { detectP99Ms: 1_100, gapP99Ms: 1_600 },
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
        const struckMs = performance.now();
        victim.signal("SIGSTOP");
        detectMs.push((await rig.unselectable(handle)) - struckMs);
        // Longer than the silence that counts as death: streams have moved before late tokens come.
        await new Promise((resolve) => setTimeout(resolve, context.profile.name === "full" ? 5_000 : 1_200));
        if (handle.health.condition === "silent" || handle.health.state === "dead") confirmed += 1;
        const thawedMs = performance.now();
        victim.signal("SIGCONT");
        recoveries.push(rig.selectable(worker).then((atMs) => atMs - thawedMs));
      }
      return {
        faults: context.profile.faults,
        confirmed,
        detectMs,
        recoveryMs: await Promise.all(recoveries),
      };
    }),
};
