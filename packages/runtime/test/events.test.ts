import { createRuntime, memoryDiscovery, memoryEvents, type EventPlane } from "@stator/runtime";
import { natsDiscovery, natsEvents } from "@stator/runtime/nats";
import fc from "fast-check";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { blockEngine, indexOf, kvFeedBehaviour } from "./kv-feed-behaviour.ts";
import { hasServer, startServer, type ServerProcess } from "@stator/runtime/testing";

describe("over memory", () => {
  let discovery = memoryDiscovery();
  let events = memoryEvents();
  beforeEach(() => {
    discovery = memoryDiscovery();
    events = memoryEvents();
  });
  kvFeedBehaviour({ discovery: () => discovery, events: () => events });

  test("whatever of the events is lost, repeated or out of order, the index converges", async () => {
    await fc.assert(
      fc.asyncProperty(fc.infiniteStream(fc.integer({ min: 0, max: 9 })), async (fates) => {
        const shared = memoryDiscovery();
        const plane = faulty(memoryEvents(), () => fates.next().value as number);
        const make = () =>
          createRuntime({ discovery: shared, events: plane, deadlines: { registrationHeartbeatMs: 20 } });
        await using workers = await make();
        await using watcher = await make();
        const { engine, store, remove, blocks } = blockEngine();
        await workers.serveEngine(engine, { role: "both", id: "w" });
        const index = indexOf();
        watcher.kvEvents((batch) => index.add(batch));
        for (let i = 1n; i < 40n; i++) {
          if (i % 3n === 0n) remove(i - 1n);
          else store(i);
          if (i % 7n === 0n) await new Promise((resolve) => setImmediate(resolve));
        }
        await expect.poll(() => index.blocks("w"), { timeout: 30_000 }).toBe([...blocks].sort().join());
      }),
      { numRuns: 20 },
    );
  });
});

/** Loses two of ten messages, repeats one, and holds one back behind the next. */
function faulty(plane: EventPlane, fate: () => number): EventPlane {
  return {
    name: "faulty",
    async open(context) {
      const channel = await plane.open(context);
      let late: (() => void) | undefined;
      return {
        ...channel,
        publish(topic, payload) {
          const copy = new Uint8Array(payload);
          const say = (): void => void channel.publish(topic, copy);
          const what = fate();
          if (what < 2) return true;
          if (what === 2 && late === undefined) {
            late = say;
            return true;
          }
          say();
          if (what === 3) say();
          late?.();
          late = undefined;
          return true;
        },
      };
    },
  };
}

describe.runIf(hasServer("nats"))("over nats", () => {
  let server: ServerProcess;
  let prefix = "";
  let runs = 0;
  beforeAll(async () => {
    server = await startServer("nats");
  });
  afterAll(() => server[Symbol.asyncDispose]());
  beforeEach(() => void (prefix = `run${(runs += 1)}`));
  const options = () => ({ servers: `nats://127.0.0.1:${server.port}`, prefix });
  kvFeedBehaviour({ discovery: () => natsDiscovery(options()), events: () => natsEvents(options()) });

  test("NATS is gone for a while: the index catches up when it is back", async () => {
    const discovery = memoryDiscovery();
    const make = () =>
      createRuntime({
        discovery,
        events: natsEvents(options()),
        deadlines: { registrationHeartbeatMs: 100 },
      });
    await using workers = await make();
    await using watcher = await make();
    const { engine, store } = blockEngine();
    await workers.serveEngine(engine, { role: "both", id: "w" });
    const index = indexOf();
    watcher.kvEvents((batch) => index.add(batch));
    store(1n);
    await expect.poll(() => index.blocks("w")).toBe("1");
    await server.stop();
    for (let i = 2n; i < 9n; i++) store(i);
    await server.start();
    await expect.poll(() => index.blocks("w"), { timeout: 30_000 }).toBe("1,2,3,4,5,6,7,8");
  });
});
