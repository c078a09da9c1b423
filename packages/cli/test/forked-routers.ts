// Two routers as forked frontends are: the primary relays, one books, the other tells what it sees of it. A line of JSON per step.
import cluster from "node:cluster";
import { createRequest, hashSchemeXxh3, silentLogger } from "@stator/core";
import { createSelector } from "@stator/router/selector";
import { relayReplicas } from "../src/processes/cluster-channel.ts";
import { openReplicas } from "../src/processes/open-replicas.ts";

const capacity = { requests: 9, queue: 9, kvBlocks: 999 };

if (cluster.isPrimary) {
  cluster.setupPrimary({ exec: import.meta.filename, args: [] });
  const routers = [cluster.fork(), cluster.fork()];
  for (const router of routers) relayReplicas(router);
  let ready = 0;
  for (const router of routers)
    router.on("message", (message: { ready?: true; sees?: number }) => {
      if (message.ready && ++ready === 2) routers[0]!.send("book");
      if (message.sees === undefined) return;
      console.log(JSON.stringify(message));
      if (message.sees > 0) routers[0]!.kill("SIGKILL");
      else for (const each of routers) each.kill("SIGKILL");
    });
  process.once("SIGTERM", () => process.exit(0));
} else {
  const selector = createSelector({});
  for (const id of ["a", "b"]) {
    const worker = { id, epoch: "1", role: "both", model: "m", ranks: 1, labels: {} } as const;
    selector.addWorker(
      { ...worker, capacity },
      { blockTokens: 16, hashScheme: hashSchemeXxh3, adapters: [] },
    );
  }
  const replicas = await openReplicas({ events: "session", namespace: "test", logger: silentLogger });
  const router = replicas!.group.join("m", selector);
  const seen = (): number => router.loads().reduce((sum, { activeRequests }) => sum + activeRequests, 0);
  process.on("message", (message) => {
    if (message !== "book") return;
    const promptIds = Uint32Array.from({ length: 160 }, (_, i) => i);
    router.book(router.select(router.prepare(createRequest({ id: "1", model: "m", promptIds }))));
  });
  // Only the one that did not book has something to tell: its own load is what the other booked.
  if (cluster.worker?.id === 2) {
    let last = 0;
    setInterval(() => {
      const now = seen();
      if (now !== last) process.send?.({ sees: (last = now) });
    }, 5);
  } else setInterval(() => undefined, 1_000);
  process.send?.({ ready: true });
}
