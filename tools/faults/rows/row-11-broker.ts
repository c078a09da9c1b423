import { createRuntime, fileDiscovery } from "@stator/runtime";
import { natsEvents } from "@stator/runtime/nats";
import { until } from "@stator/testing";
import { startServer } from "@stator/runtime/testing";
import type { Row } from "../row.ts";
import { trial } from "../trial.ts";
import { pause } from "./store.ts";

export const row11: Row = {
  row: 11,
  title: "NATS down: KV events to those without a session stop, and are whole again afterwards",
  needs: "nats-server",
  engines: ["simulated"],
  zero: ["gaps"],
  async run(context) {
    await using nats = await startServer("nats");
    return await trial(context, { config: { events: nats.url } }, async ({ rig }) => {
      await using standby = await createRuntime({
        discovery: fileDiscovery({ dir: rig.folder }),
        events: natsEvents({ servers: nats.url }),
      });
      const heard = new Map<string, bigint>();
      let gaps = 0;
      const stop = standby.kvEvents(({ worker, epoch, sequence, isSnapshot }) => {
        const key = `${worker} ${epoch}`;
        const last = heard.get(key);
        if (isSnapshot !== true && last !== undefined && sequence > last + 1n) gaps += 1;
        heard.set(key, sequence);
      });
      await until("the standby hears every worker", () => heard.size >= rig.workers.length);
      const recoveryMs: number[] = [];
      for (const how of ["stopped", "frozen"] as const) {
        if (how === "stopped") await nats.stop();
        else nats.signal("SIGSTOP");
        await pause(context.profile.outageMs / 2);
        if (how === "stopped") await nats.start();
        else nats.signal("SIGCONT");
        const backMs = performance.now();
        const then = new Map(heard);
        await until("the standby hears every worker again", () =>
          rig.workers
            .filter(({ role }) => role === "decode")
            .every(({ name }) =>
              [...heard].some(([key, at]) => key.startsWith(`${name} `) && at > (then.get(key) ?? 0n)),
            ),
        );
        recoveryMs.push(performance.now() - backMs);
      }
      stop();
      return { faults: 2, confirmed: 2, recoveryMs, more: { gaps } };
    });
  },
};
