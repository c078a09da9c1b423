import type { Row } from "../row.ts";
import { trial } from "../trial.ts";

export const row22: Row = {
  row: 22,
  title: "Three of four decode workers die at once under three times the load",
  engines: ["simulated"],
  run: (context) =>
    trial(
      context,
      { clients: context.profile.clients * 3, config: { requests: 8, queue: 4 } },
      async ({ rig, load, passed }) => {
        const names = ["decode-0", "decode-1", "decode-2"];
        const lives = names.map((name) => rig.handle(name)!);
        const struckMs = performance.now();
        for (const name of names) rig.process(name).signal("SIGKILL");
        const detectMs = await Promise.all(lives.map((handle) => rig.unselectable(handle)));
        const backMs = await Promise.all(
          names.map((name, i) => rig.selectable(name, lives[i]!.worker.epoch)),
        );
        const before = load.requests.length;
        const fromMs = performance.now();
        await passed(context.profile.clients * 3);
        const perSecond = ((load.requests.length - before) * 1_000) / (performance.now() - fromMs);
        return {
          faults: 1,
          confirmed: 1,
          detectMs: detectMs.map((atMs) => atMs - struckMs),
          recoveryMs: backMs.map((atMs) => atMs - struckMs),
          more: { requestsPerSecondAfter: Math.round(perSecond) },
        };
      },
    ),
};
