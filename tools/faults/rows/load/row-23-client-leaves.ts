import { until } from "@stator/testing";
import { percentile } from "../../statistics.ts";
import type { Row } from "../../row.ts";
import { trial } from "../../trial.ts";
import { heldAfter } from "../../workers-left.ts";

export const row23: Row = {
  row: 23,
  title: "Clients leave: while queued, in prefill, in transfer, in decode",
  engines: ["simulated"],
  most: { abortP99Ms: 250 },
  zero: ["leaked", "unheard"],
  run: (context) =>
    trial(context, { isExpected: ({ leftMs }) => leftMs !== undefined }, async ({ rig, load, notes }) => {
      const wanted = context.profile.faults;
      const gone: { readonly id: string; readonly leftMs: number; readonly workers: readonly string[] }[] =
        [];
      while (gone.length < wanted) {
        await until("requests run", () => load.inFlight().some(({ leftMs }) => leftMs === undefined));
        const candidates = load.inFlight().filter(({ leftMs }) => leftMs === undefined);
        const one = candidates[Math.floor(context.random() * candidates.length)]!;
        await new Promise((resolve) => setTimeout(resolve, context.random() * 40));
        if (!load.inFlight().includes(one)) continue;
        one.leave();
        const workers = one.events.flatMap((event) => (event.type === "routed" ? [event.worker] : []));
        gone.push({ id: one.request.id, leftMs: one.leftMs!, workers });
      }
      return {
        faults: wanted,
        confirmed: gone.length,
        async after() {
          const abortMs: number[] = [];
          let unheard = 0;
          for (const { id, leftMs } of gone) {
            const of = notes.filter(({ note }) => "request" in note && note.request === id);
            const started = of.filter(({ note }) => note.type === "started");
            const ended = of.filter(({ note }) => note.type === "ended");
            if (ended.length < started.length) unheard += 1;
            for (const { atMs, note } of ended)
              if (note.type === "ended" && note.why === "aborted" && atMs > leftMs)
                abortMs.push(atMs - leftMs);
          }
          const { leaked } = await heldAfter(rig);
          return {
            unheard,
            leaked,
            aborted: abortMs.length,
            ...(abortMs.length === 0 ? {} : { abortP99Ms: percentile(abortMs, 0.99) }),
          };
        },
      };
    }),
};
