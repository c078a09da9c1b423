import { StatorError, type Engine } from "@stator/core";
import type { MigratingEngine } from "@stator/router";
import type { Row } from "../../row.ts";
import { trial } from "../../trial.ts";
import { pause } from "../../pause.ts";

/** What one worker runs at once, and how many more it takes. */
const running = 8;
const queue = 4;
/** Three times what four workers run; those that one worker and the pool's line do not take are refused. */
const clients = 3 * 4 * running;
const line = clients - 4 * (running + queue) + 16;

export const row22: Row = {
  row: 22,
  title: "Three of four decode workers die at once under three times the load",
  engines: ["simulated"],
  zero: ["rejectsAfterDrain", "retriesOver20Percent", "goodputBelow90Percent"],
  run(context) {
    const rejects: number[] = [];
    return trial(
      context,
      {
        clients,
        prefill: 0,
        queue: line,
        config: { requests: running, queue },
        client: (graph) => patient(graph, rejects),
      },
      async ({ rig, load, graph }) => {
        const ended = (): number => load.requests.length - load.inFlight().length;
        const perSecond = async (ms: number): Promise<number> => {
          const from = ended();
          const fromMs = performance.now();
          await pause(ms);
          return ((ended() - from) * 1_000) / (performance.now() - fromMs);
        };
        await pause(1_000);
        const capacity = await perSecond(4_000);
        const names = ["decode-0", "decode-1", "decode-2"];
        const lives = names.map((name) => rig.handle(name)!);
        let mostRetrying = 0;
        let mostActive = 1;
        const watch = setInterval(() => {
          const { retrying, active } = graph.counts;
          mostRetrying = Math.max(mostRetrying, retrying);
          mostActive = Math.max(mostActive, active);
        }, 5);
        const struckMs = performance.now();
        for (const name of names) rig.process(name).signal("SIGKILL");
        const detectMs = await Promise.all(lives.map((handle) => rig.unselectable(handle)));
        const backMs = await Promise.all(
          names.map((name, i) => rig.selectable(name, lives[i]!.worker.epoch)),
        );
        const drainedMs = Math.max(...backMs);
        const goodput = await perSecond(5_000);
        clearInterval(watch);
        const share = goodput / capacity;
        const retries = mostRetrying / mostActive;
        return {
          faults: 3,
          confirmed: names.filter((name) => rig.process(name).lastExit?.signal === "SIGKILL").length,
          detectMs: detectMs.map((atMs) => atMs - struckMs),
          recoveryMs: backMs.map((atMs) => atMs - struckMs),
          more: {
            rejects: rejects.length,
            rejectsAfterDrain: rejects.filter((atMs) => atMs > drainedMs + 2_000).length,
            retriesPercent: Math.round(retries * 1_000) / 10,
            retriesOver20Percent: retries > 0.2 ? 1 : 0,
            requestsPerSecondBefore: Math.round(capacity),
            requestsPerSecondAfter: Math.round(goodput),
            goodputBelow90Percent: share < 0.9 ? 1 : 0,
          },
        };
      },
    );
  },
};

/** A client that comes again when it was told to. */
function patient(graph: MigratingEngine, rejects: number[]): Engine {
  return {
    card: graph.card,
    async *generate(request, options) {
      for (;;) {
        let isBegun = false;
        try {
          for await (const batch of graph.generate(request, options)) {
            isBegun = true;
            yield batch;
          }
          return;
        } catch (error) {
          if (isBegun) throw error;
          const retryAfterMs = StatorError.isInstance(error) ? error.data?.["retryAfterMs"] : undefined;
          if (!StatorError.isInstance(error) || error.kind !== "overloaded" || retryAfterMs === undefined)
            throw error;
          rejects.push(performance.now());
          await pause(Number(retryAfterMs) * (0.5 + Math.random()));
        }
      }
    },
  };
}
