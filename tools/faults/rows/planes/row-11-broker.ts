import { createRuntime, fileDiscovery } from "@stator/runtime";
import { natsEvents } from "@stator/runtime/nats";
import { createSelector, type Selector } from "@stator/router";
import { createFaultProxy, until } from "@stator/testing";
import { startServer } from "@stator/runtime/testing";
import type { Row } from "../../row.ts";
import { trial, type Trial } from "../../trial.ts";
import { pause } from "../../pause.ts";

export const row11: Row = {
  row: 11,
  title: "NATS stopped, then partitioned: an index fed by events alone has its hit rate back within 5 s",
  needs: "nats-server",
  engines: ["simulated"],
  most: { recoveryMs: 5_000 },
  zero: ["gaps", "coldAfter5s"],
  async run(context) {
    await using nats = await startServer("nats");
    await using proxy = await createFaultProxy({
      target: { host: "127.0.0.1", port: nats.port },
    });
    const servers = `nats://127.0.0.1:${proxy.port}`;
    return await trial(context, { config: { events: servers } }, async ({ rig, load }) => {
      await using standby = await createRuntime({
        discovery: fileDiscovery({ dir: rig.folder }),
        events: natsEvents({ servers }),
      });
      // One index hears of the workers over NATS only, the other one in band: what it could know.
      const remote = createSelector();
      const inBand = createSelector();
      const stops: (() => void)[] = [];
      for (const { worker, card, engine } of rig.runtime.workers().current()) {
        remote.addWorker(worker, card);
        inBand.addWorker(worker, card);
        const stop = engine.onStatus?.(({ events }) =>
          events?.forEach((batch) => inBand.observe({ ...batch, worker: worker.id, epoch: worker.epoch })),
        );
        if (stop !== undefined) stops.push(stop);
      }
      let gaps = 0;
      stops.push(standby.kvEvents((batch) => void (remote.observe(batch) === "gap" && (gaps += 1))));
      const rate = (): number => hitRate(remote, inBand, load);
      await until("the index is warm", () => rate() > 0.9);
      const recoveryMs: number[] = [];
      const before: number[] = [];
      const during: number[] = [];
      const after: number[] = [];
      let coldAfter5s = 0;
      for (const how of ["stopped", "partitioned"] as const) {
        before.push(rate());
        if (how === "stopped") await nats.stop();
        else proxy.set({ isBlackhole: true });
        await pause(context.profile.outageMs);
        during.push(rate());
        if (how === "stopped") await nats.start();
        else {
          proxy.heal();
          // What was swallowed is lost for good: those connections cannot go on.
          proxy.cut();
        }
        const backMs = performance.now();
        const isWarm = (): boolean => rate() >= 0.95 * before.at(-1)!;
        await until("the index is warm again", isWarm, 5_000).catch(() => (coldAfter5s += 1));
        recoveryMs.push(performance.now() - backMs);
        after.push(rate());
        await until("the index is warm again", isWarm);
      }
      for (const stop of stops) stop();
      return {
        faults: 2,
        // A short outage may end before a prompt is missed.
        confirmed:
          context.profile.name === "test" ? 2 : during.filter((share, i) => share < before[i]!).length,
        recoveryMs,
        more: {
          gaps,
          coldAfter5s,
          hitPercentBefore: percent(Math.min(...before)),
          hitPercentDuring: percent(Math.min(...during)),
          hitPercentAfter: percent(Math.min(...after)),
        },
      };
    });
  },
};

/** Of what the latest prompts would find by the one index, the share that they would find by the other. */
function hitRate(remote: Selector, inBand: Selector, load: Trial["load"]): number {
  let found = 0;
  let possible = 0;
  for (const { request } of load.requests.slice(-64)) {
    const { names } = inBand.prepare(request);
    const of = (selector: Selector): number =>
      Math.max(0, ...selector.holdings(names).map(({ blocks }) => blocks));
    const most = of(inBand);
    possible += most;
    found += Math.min(most, of(remote));
  }
  return possible === 0 ? 0 : found / possible;
}

const percent = (share: number): number => Math.round(share * 1_000) / 10;
