import type { Row } from "../../row.ts";
import { trial } from "../../trial.ts";
import { pause } from "../../pause.ts";

export const row18: Row = {
  row: 18,
  title: "Wall clocks of workers and caller step by 5 minutes, to and fro",
  engines: ["simulated"],
  zero: ["left", "negative"],
  run: (context) =>
    trial(context, {}, async ({ rig, load }) => {
      let left = 0;
      let confirmed = 0;
      const stop = rig.runtime.workers().onChange(({ type }) => (left += type === "left" ? 1 : 0));
      const realNow = Date.now.bind(Date);
      try {
        for (let i = 0; i < context.profile.fewFaults; i++) {
          const stepMs = (i % 2 === 0 ? 1 : -1) * 300_000;
          const answers = await Promise.all(
            rig.workers.map(({ name }, at) =>
              rig.command(name, "skew", String(at % 2 === 0 ? stepMs : -stepMs)),
            ),
          );
          if (answers.every(({ nowMs }) => Math.abs(Number(nowMs) - realNow()) > 200_000)) confirmed += 1;
          Date.now = () => realNow() - stepMs / 2;
          // The last one longer than a registration lease.
          const isLast = i + 1 === context.profile.fewFaults;
          await pause(context.profile.name === "test" || !isLast ? 1_500 : 6_000);
        }
      } finally {
        Date.now = realNow;
        stop();
      }
      const negative = load.requests
        .flatMap(({ events }) => events)
        .filter(
          (e) => (e.type === "transferred" && e.durationMs < 0) || (e.type === "routed" && e.decisionMs < 0),
        ).length;
      return {
        faults: context.profile.fewFaults,
        confirmed,
        more: { left, negative },
      };
    }),
};
