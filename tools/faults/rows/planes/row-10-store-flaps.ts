import { redisDiscovery } from "@stator/runtime/redis";
import { createFaultProxy } from "@stator/testing";
import { Redis } from "ioredis";
import { startServer, type ServerProcess } from "@stator/runtime/testing";
import type { Row } from "../../row.ts";
import { trial } from "../../trial.ts";
import { pause } from "../../pause.ts";

export const row10: Row = {
  row: 10,
  title: "Two Redis behind one address, switched every 2 s: each knows only what was said to it",
  needs: "redis-server",
  engines: ["simulated"],
  most: { registrationsPerWorkerAndFlap: 1 },
  zero: ["left", "wrongRoutes", "registeredTwice"],
  async run(context) {
    await using first = await startServer("redis");
    await using second = await startServer("redis");
    const targetOf = ({ port }: ServerProcess) => ({ host: "127.0.0.1", port });
    await using proxy = await createFaultProxy({ target: targetOf(first) });
    const url = `redis://127.0.0.1:${proxy.port}`;
    return await trial(
      context,
      { discovery: { discovery: redisDiscovery({ url }), address: url } },
      async ({ rig, load }) => {
        let left = 0;
        const stop = rig.runtime.workers().onChange(({ type }) => (left += type === "left" ? 1 : 0));
        const flaps = context.profile.fewFaults * 2;
        const writes: number[] = [];
        let confirmed = 0;
        for (let i = 0; i < flaps; i++) {
          const next = i % 2 === 0 ? second : first;
          const client = new Redis(next.url);
          await client.config("RESETSTAT");
          proxy.lead(targetOf(next));
          await pause(2_000);
          const calls = await callsOf(client);
          client.disconnect();
          // Workers renew there, the router looks there.
          if (calls("pexpire") > 0 && calls("scan") > 0) confirmed += 1;
          writes.push(calls("set"));
        }
        stop();
        // None of the processes was ever started again: every worker has one life only.
        const lives = new Map(rig.workers.map(({ name }) => [name, rig.handle(name)?.worker.epoch]));
        const wrongRoutes = load.requests
          .flatMap(({ events }) => events)
          .filter((event) => event.type === "routed" && lives.get(event.worker) !== event.epoch).length;
        const most = Math.max(...writes) / rig.workers.length;
        return {
          faults: flaps,
          confirmed,
          more: {
            left,
            wrongRoutes,
            registrationsPerWorkerAndFlap: Math.round(most * 100) / 100,
            registeredTwice: writes.filter((count) => count > rig.workers.length).length,
          },
        };
      },
    );
  },
};

/** How often commands were called since the last reset. */
async function callsOf(client: Redis): Promise<(command: string) => number> {
  const lines = await client.info("commandstats");
  return (command) => Number(new RegExp(`cmdstat_${command}:calls=(\\d+)`).exec(lines)?.[1] ?? 0);
}
