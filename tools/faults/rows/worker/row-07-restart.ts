import { until } from "@stator/testing";
import type { Row } from "../../row.ts";
import { trial } from "../../trial.ts";
import { untilEnough } from "../../workers-left.ts";

export const row07: Row = {
  row: 7,
  title: "Worker restarts under its id, within its lease",
  engines: ["simulated"],
  zero: ["toOldEpoch"],
  run: (context) =>
    trial(context, {}, async ({ rig, streaming, load }) => {
      const recoveryMs: number[] = [];
      const lives = new Map<string, number>();
      let confirmed = 0;
      for (let i = 0; i < context.profile.fewFaults; i++) {
        await untilEnough(rig);
        const { worker } = await streaming();
        const { epoch } = rig.handle(worker)!.worker;
        const struckMs = performance.now();
        rig.process(worker).signal("SIGKILL");
        const backMs = await rig.selectable(worker, epoch);
        recoveryMs.push(backMs - struckMs);
        lives.set(`${worker} ${epoch}`, backMs);
        await until(
          "the new life works",
          () =>
            load.requests.some(({ events }) =>
              events.some(
                (e) => e.type === "routed" && e.worker === worker && e.epoch !== epoch && e.atMs > backMs,
              ),
            ) || load.inFlight().length === 0,
        );
        confirmed += 1;
      }
      let toOldEpoch = 0;
      for (const { events } of load.requests) {
        for (const event of events) {
          if (event.type !== "routed") continue;
          const overMs = lives.get(`${event.worker} ${event.epoch}`);
          if (overMs !== undefined && event.atMs > overMs) toOldEpoch += 1;
        }
      }
      return { faults: context.profile.fewFaults, confirmed, recoveryMs, more: { toOldEpoch } };
    }),
};
