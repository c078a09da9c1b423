import { createRequest } from "@stator/core";
import type { Row } from "../../row.ts";
import { trial } from "../../trial.ts";

/** An id that no other prompt has. */
const poisonId = 31;

export const row21: Row = {
  row: 21,
  title: "A poison request among good ones",
  engines: ["simulated"],
  zero: ["notQuarantined", "deathsBeyondThree"],
  run(context) {
    const every = Math.max(12, Math.floor(context.profile.requests / 4));
    const first = context.profile.clients * 2;
    const isPoison = (n: number): boolean => n >= first && (n - first) % every === 0;
    const poisoned = new Set<string>();
    return trial(
      context,
      {
        config: { poisonId },
        isExpected: ({ request }) => poisoned.has(request.id),
        request(n, usual) {
          const good = usual(n);
          if (!isPoison(n)) return good;
          poisoned.add(good.id);
          // The same prompt each time: the second one must be known.
          const promptIds = Uint32Array.from({ length: 40 }, (_, i) => (i === 20 ? poisonId : 40 + i));
          return createRequest({ ...good, promptIds });
        },
      },
      async ({ rig, load, passed }) => {
        while (poisoned.size < 2) await passed(1);
        const done = (): boolean =>
          load.requests.filter(({ request, error }) => poisoned.has(request.id) && error !== undefined)
            .length >= 2;
        while (!done()) await new Promise((resolve) => setTimeout(resolve, 20));
        const deaths = rig.supervisor.processes.reduce((sum, { restarts }) => sum + restarts, 0);
        const ends = load.requests.filter(
          ({ request, error }) => poisoned.has(request.id) && error !== undefined,
        );
        const notQuarantined = ends.filter(
          ({ error }) => error!.code !== "ROUTER_REQUEST_QUARANTINED",
        ).length;
        return {
          faults: 1,
          confirmed: deaths > 0 ? 1 : 0,
          more: { deaths, notQuarantined, deathsBeyondThree: Math.max(0, deaths - 3) },
          async after() {
            const later = rig.supervisor.processes.reduce((sum, { restarts }) => sum + restarts, 0);
            return Promise.resolve({ deaths: later, deathsBeyondThree: Math.max(0, later - 3) });
          },
        };
      },
    );
  },
};
