import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock, type Clock, type Deadlines, type GenerateRequest, type WorkerRole } from "@stator/core";
import {
  createSimulatedEngine,
  type SimulatedEngine,
  type SimulatedEngineOptions,
} from "@stator/engines/simulated";
import {
  createRuntime,
  fileDiscovery,
  memoryDiscovery,
  type Discovery,
  type Runtime,
  type ServedEngine,
} from "@stator/runtime";

import { collect, type Collected } from "../collect/collect.ts";
import { createFaultyLinks, type FaultyLinks, type LinkState } from "./faulty-links.ts";
import { createWorkerGate, type WorkerGate } from "./worker-gate.ts";

export interface TestWorkers {
  /** Default "tiny". */
  readonly model?: string;
  /** Default "both". */
  readonly role?: WorkerRole;
  /** Default 1. */
  readonly count?: number;
  /** Of the simulated engine: step time, blocks, context, … */
  readonly engine?: SimulatedEngineOptions;
  /** Requests that run at once on each; default 64. */
  readonly requests?: number;
  readonly labels?: Readonly<Record<string, string>>;
}

export interface TestClusterOptions {
  readonly workers: readonly TestWorkers[];
  /** `memory`: sessions within the process, no sockets. `http2`: the same sessions over loopback sockets. Default `memory`. */
  readonly transport?: "memory" | "http2";
  /** `createVirtualClock()` runs everything in virtual time; only with `memory`. Default: the machine's. */
  readonly clock?: Clock;
  readonly deadlines?: Partial<Deadlines>;
  /** How long `createTestCluster` waits until the caller's side knows all workers, in ms. Default 5,000. */
  readonly readyMs?: number;
}

export interface TestWorker {
  /** `decode-0`, `prefill-1`; with several models `qwen-decode-0`. */
  readonly name: string;
  readonly role: WorkerRole;
  readonly model: string;
  readonly engine: SimulatedEngine;
  readonly gate: WorkerGate;
  readonly served: ServedEngine;
}

export interface FaultPoint {
  /** After so many more output tokens of this worker. Default: at once. */
  readonly afterTokens?: number;
}

/** A cluster of simulated engines behind real sessions, each worker with a runtime of its own, to be hurt on purpose. */
export interface TestCluster extends AsyncDisposable {
  /** The caller's side: give it to the graph under test. */
  readonly runtime: Runtime;
  readonly workers: readonly TestWorker[];
  /** @throws Error for a name that is not there. */
  worker(name: string): TestWorker;
  /** As SIGKILL does: the sessions break, the KV is gone, nothing is said. */
  kill(name: string, point?: FaultPoint): void;
  /** As SIGSTOP does: neither frames nor answers, until `thaw`; then all that was computed arrives late. */
  stop(name: string, point?: FaultPoint): void;
  /** The engine hangs while its process goes on: frames, but no progress. */
  freeze(name: string, point?: FaultPoint): void;
  /** Ends `stop`, `freeze` and `unplug`. */
  thaw(name: string): void;
  /** A cable pulled: what is said is lost, both ways or one. */
  unplug(name: string, point?: FaultPoint & { readonly direction?: "both" | "up" | "down" }): void;
  /** Takes nothing new; resolves when what runs has ended. */
  drain(name: string): Promise<void>;
  /** Starts a killed or drained worker again: same name, another life. */
  restart(name: string): Promise<void>;
  /** Calls `act` after so many more output tokens of this worker. */
  at(name: string, afterTokens: number, act: () => void): void;
  /** What the request gives on one engine of the first kind alone. */
  undisturbed(request: GenerateRequest): Promise<Collected>;
  /** KV blocks that requests hold, over all workers: 0 when nothing leaks. */
  usedBlocks(): number;
  close(): Promise<void>;
}

/**
 * Starts a cluster in this process.
 *
 * @example
 * const cluster = await createTestCluster({ workers: [{ model: "tiny", role: "decode", count: 2 }] });
 * const run = collect(graph(cluster.runtime).tiny, request);
 * cluster.kill("decode-0", { afterTokens: 5 });
 * expect(await run).toEqual(await cluster.undisturbed(request));
 */
export async function createTestCluster(options: TestClusterOptions): Promise<TestCluster> {
  const transport = options.transport ?? "memory";
  const clock = options.clock ?? systemClock;
  if (transport === "http2" && clock !== systemClock)
    throw new Error('A virtual clock needs transport "memory": sockets take real time.');
  const folder = transport === "http2" ? await mkdtemp(join(tmpdir(), "stator-cluster-")) : undefined;
  const discovery: Discovery = folder === undefined ? memoryDiscovery() : fileDiscovery({ dir: folder });
  const links: FaultyLinks = createFaultyLinks();
  const common = {
    discovery,
    clock,
    isShortcutAllowed: false,
    ...(options.deadlines === undefined ? {} : { deadlines: options.deadlines }),
  };
  const runtime = await createRuntime({ ...common, throughLink: (link) => links.throughLink(link) });
  const models = new Set(options.workers.map(({ model = "tiny" }) => model));
  const entries = new Map<string, Entry>();

  interface Entry {
    readonly spec: TestWorkers;
    readonly runtime: Runtime;
    worker: TestWorker;
    lives: number;
  }

  const start = async (name: string, spec: TestWorkers, host: Runtime, life: number): Promise<TestWorker> => {
    const { model = "tiny", role = "both", labels } = spec;
    const engine = createSimulatedEngine({ ...spec.engine, model, worker: name, epoch: String(life), clock });
    const gate = createWorkerGate(engine);
    const served = await host.serveEngine(gate.engine, {
      role,
      id: name,
      capacity: { requests: spec.requests ?? 64, kvBlocks: spec.engine?.kvBlocks ?? 8_192 },
      ...(labels === undefined ? {} : { labels }),
    });
    return { name, role, model, engine, gate, served };
  };

  const numbers = new Map<string, number>();
  for (const spec of options.workers) {
    const { model = "tiny", role = "both", count = 1 } = spec;
    const kind = models.size > 1 ? `${model}-${role}` : role;
    for (let i = 0; i < count; i++) {
      const number = numbers.get(kind) ?? 0;
      numbers.set(kind, number + 1);
      const name = `${kind}-${number}`;
      const host = await createRuntime(common);
      entries.set(name, { spec, runtime: host, worker: await start(name, spec, host, 0), lives: 1 });
    }
  }

  const entry = (name: string): Entry => {
    const found = entries.get(name);
    if (found === undefined)
      throw new Error(`There is no worker ${name}; there are ${[...entries.keys()].join(", ")}.`);
    return found;
  };
  const at = (name: string, point: FaultPoint | undefined, act: () => void): void => {
    const { gate } = entry(name).worker;
    if (point?.afterTokens === undefined) act();
    else gate.at(point.afterTokens, act);
  };
  const setLink = (name: string, state: Partial<LinkState>): void => links.set(name, state);

  const known = runtime.workers();
  const isReady = (names: readonly string[]): boolean => {
    const current = new Map(
      known.current().map(({ worker, health }) => [worker.id, { epoch: worker.epoch, health }]),
    );
    return names.every((name) => {
      const found = current.get(name);
      return found?.epoch === entry(name).worker.served.worker.epoch && found.health.isSelectable;
    });
  };
  const ready = async (names: readonly string[]): Promise<void> => {
    const untilMs = performance.now() + (options.readyMs ?? 5_000);
    while (!isReady(names)) {
      if (performance.now() > untilMs)
        throw new Error(`Workers ${names.join(", ")} are not known after ${options.readyMs ?? 5_000} ms.`);
      await nextLook(clock);
    }
  };
  await ready([...entries.keys()]);

  const cluster: TestCluster = {
    runtime,
    get workers() {
      return [...entries.values()].map(({ worker }) => worker);
    },
    worker: (name) => entry(name).worker,
    kill(name, point) {
      at(name, point, () => {
        const { worker } = entry(name);
        worker.served.kill();
        void worker.engine.close();
      });
    },
    stop(name, point) {
      at(name, point, () => {
        entry(name).worker.engine.freeze();
        setLink(name, { up: "frozen", down: "frozen" });
      });
    },
    freeze(name, point) {
      at(name, point, () => entry(name).worker.engine.freeze());
    },
    unplug(name, point) {
      const direction = point?.direction ?? "both";
      at(name, point, () =>
        setLink(name, {
          ...(direction === "down" ? {} : { up: "lost" }),
          ...(direction === "up" ? {} : { down: "lost" }),
        }),
      );
    },
    thaw(name) {
      setLink(name, { up: "open", down: "open" });
      entry(name).worker.engine.thaw();
    },
    drain: (name) => entry(name).worker.served.drain(),
    async restart(name) {
      const found = entry(name);
      found.worker.served.kill();
      await found.worker.engine.close();
      setLink(name, { up: "open", down: "open" });
      found.worker = await start(name, found.spec, found.runtime, found.lives++);
      await ready([name]);
    },
    at: (name, afterTokens, act) => entry(name).worker.gate.at(afterTokens, act),
    undisturbed(request) {
      const spec =
        options.workers.find(({ model = "tiny" }) => model === request.model) ?? options.workers[0];
      // In real time and alone: the text must not depend on either.
      const { stepTime: _pace, ...engine } = spec?.engine ?? {};
      return collect(createSimulatedEngine({ ...engine, model: request.model }), request);
    },
    usedBlocks: () => [...entries.values()].reduce((sum, { worker }) => sum + worker.engine.usedBlocks(), 0),
    async close() {
      await runtime.close();
      for (const found of entries.values()) {
        await found.worker.engine.close();
        await found.runtime.close();
      }
      if (folder !== undefined) await rm(folder, { recursive: true, force: true });
    },
    [Symbol.asyncDispose]: () => cluster.close(),
  };
  return cluster;
}

/** Lets the machine's loop, or virtual time, go on a little. */
async function nextLook(clock: Clock): Promise<void> {
  if ("pass" in clock) await (clock as { pass(ms: number): Promise<void> }).pass(10);
  else await new Promise<void>((resolve) => clock.schedule(5, resolve));
  await new Promise<void>((resolve) => setImmediate(resolve));
}
