import { create } from "@bufbuild/protobuf";
import { RegistrationSchema } from "@stator/contracts";
import {
  contractVersion,
  createHealthGroup,
  noopMeter,
  silentLogger,
  systemClock,
  type Clock,
  type Deadlines,
  type Engine,
  type HealthGroup,
  type Logger,
  type Meter,
  type Worker,
  type WorkerCapacity,
  type WorkerRole,
  type WorkerSource,
} from "@stator/core";
import { workerToWire } from "./codec/worker-codec.ts";
import type { Discovery } from "./discovery/discovery.ts";
import { memoryDiscovery } from "./discovery/memory-discovery.ts";
import { register } from "./discovery/registrar.ts";
import { RuntimeError } from "./runtime-error.ts";
import { createEngineHost, unknownWorker, type EngineHost } from "./session/engine-host.ts";
import { routeSession } from "./session/route-session.ts";
import type { SessionLink } from "./session/session-port.ts";
import { openH2Link } from "./wire/h2-link.ts";
import { startRpcServer, type RpcServer } from "./wire/rpc-server.ts";
import { sessionRoutes } from "./wire/session-routes.ts";
import { createWorkerDirectory, type WorkerFilter } from "./workers/worker-directory.ts";

export interface ListenOptions {
  /** Interface for calls from other processes. Default 127.0.0.1; 0.0.0.0 for all. */
  readonly host?: string;
  /** Default 0: a free one. */
  readonly port?: number;
  /** Host name or address that others reach this machine by. Default: `host`. */
  readonly advertise?: string;
}

export interface RuntimeOptions {
  /** Who exists. Default `memoryDiscovery()`: this process only, without sockets. */
  readonly discovery?: Discovery;
  /** Separates deployments that share a store. Default "default". */
  readonly namespace?: string;
  readonly listen?: ListenOptions;
  readonly metrics?: Meter;
  readonly logger?: Logger;
  readonly clock?: Clock;
  /** Overrides of the deadline table. */
  readonly deadlines?: Partial<Deadlines>;
  /** Every way to a worker passes through it: for tests that cut, freeze or slow one. Default: as it is. */
  readonly throughLink?: (link: SessionLink, address: string) => SessionLink;
  /** Whether calls between two runtimes of one process go without sockets. Default true. */
  readonly isShortcutAllowed?: boolean;
}

export interface ServeEngineOptions {
  readonly role: WorkerRole;
  /** Unique in the namespace. Default: model, role and a random part. */
  readonly id?: string;
  /** Default: 64 requests, 256 waiting, KV blocks as the engine's status tells. */
  readonly capacity?: Partial<WorkerCapacity>;
  /** Data-parallel ranks. Default 1. */
  readonly ranks?: number;
  /** Workers that fail together. Default: none. */
  readonly failureGroup?: string;
  readonly labels?: Readonly<Record<string, string>>;
}

/** An engine that others can call. */
export interface ServedEngine extends AsyncDisposable {
  readonly worker: Worker;
  /** Takes nothing new and says so; resolves when what runs has ended, or after the drain deadline. */
  drain(): Promise<void>;
  /** Withdraws the registration and ends the sessions. The engine stays its owner's. */
  close(): Promise<void>;
  /** Ends it as the death of its process would: streams break, nothing is said, the lease runs out. For tests. */
  kill(): void;
}

/** Processes and wires: who exists, one session per worker, and orderly ends. */
export interface Runtime extends AsyncDisposable {
  readonly namespace: string;
  readonly clock: Clock;
  /** What this process believes of all workers. */
  readonly health: HealthGroup;
  /**
   * Serves an engine to every process of the namespace.
   *
   * @throws RuntimeError `RUNTIME_ENGINE_WITHOUT_CARD` for an engine that does not know its model yet.
   */
  serveEngine(engine: Engine, options: ServeEngineOptions): Promise<ServedEngine>;
  /** The workers that exist, now and later. */
  workers(filter?: WorkerFilter): WorkerSource;
  /** Drains all that is served here. */
  drain(): Promise<void>;
  /** Ends sessions, registrations and sockets. Idempotent. */
  close(): Promise<void>;
}

/** Hosts of this process by address: a call between two of its runtimes takes no socket. */
const localHosts = new Map<string, Map<string, EngineHost>>();
let localNames = 0;

/**
 * A runtime.
 *
 * @example
 * const runtime = await createRuntime({ discovery: fileDiscovery() });
 * const served = await runtime.serveEngine(engine, { role: "both" });
 */
export async function createRuntime(options: RuntimeOptions = {}): Promise<Runtime> {
  const namespace = options.namespace ?? "default";
  if (!/^[a-z0-9][a-z0-9-]{0,62}$/.test(namespace)) {
    throw new RuntimeError({
      code: "RUNTIME_OPTION_INVALID",
      kind: "invalid",
      message: `namespace is ${JSON.stringify(namespace)}; give 1 to 63 lower-case letters, digits and dashes.`,
    });
  }
  const clock = options.clock ?? systemClock;
  const logger = options.logger ?? silentLogger;
  const meter = options.metrics ?? noopMeter;
  const discovery = options.discovery ?? memoryDiscovery();
  const health = createHealthGroup({
    clock,
    ...(options.deadlines === undefined ? {} : { deadlines: options.deadlines }),
  });
  const { deadlines } = health;
  const store = await discovery.open({ namespace, clock, deadlines, logger });
  const hosts = new Map<string, EngineHost>();
  const served = new Set<ServedEngine>();
  const localAddress = `memory:${process.pid}/${(localNames += 1)}`;
  const servedRequests = meter
    .gauge({ name: "runtime_served_engines", help: "Engines that this process serves." })
    .labels({});
  let server: Promise<RpcServer> | undefined;
  let address: string | undefined;
  let isClosed = false;
  localHosts.set(localAddress, hosts);

  const find = (worker: string): EngineHost => {
    const host = hosts.get(worker);
    if (host === undefined) throw unknownWorker(worker);
    return host;
  };

  const listen = async (): Promise<string> => {
    if (discovery.isLocal) return localAddress;
    const { host = "127.0.0.1", port = 0, advertise = host } = options.listen ?? {};
    server ??= startRpcServer({ host, port, routes: (router) => sessionRoutes(router, find) });
    const started = await server;
    address = `http://${advertise.includes(":") ? `[${advertise}]` : advertise}:${started.port}`;
    localHosts.set(address, hosts);
    return address;
  };

  const throughLink = options.throughLink ?? ((link: SessionLink): SessionLink => link);
  const openLink = (to: string): SessionLink => throughLink(linkTo(to), to);
  const linkTo = (to: string): SessionLink => {
    const local = options.isShortcutAllowed === false && !discovery.isLocal ? undefined : localHosts.get(to);
    if (local === undefined) return openH2Link({ authority: to, clock, connectMs: deadlines.connectMs });
    const host = (worker: string): EngineHost => local.get(worker) ?? fail(worker);
    return {
      session: (requests, signal) => routeSession(requests, signal, host),
      fetch: (request, signal) => host(request.worker).fetch(request, signal),
      close() {},
    };
  };

  const directory = createWorkerDirectory({ store, openLink, health, clock, deadlines, logger });

  const runtime: Runtime = {
    namespace,
    clock,
    health,
    async serveEngine(engine, serve) {
      if (isClosed) throw closed();
      const { card } = engine;
      if (card === undefined) {
        throw new RuntimeError({
          code: "RUNTIME_ENGINE_WITHOUT_CARD",
          kind: "invalid",
          message: "The engine has no card yet; serve it once it knows its model.",
        });
      }
      const epoch = `${Date.now().toString(36)}-${Math.random().toString(36).slice(2, 10)}`;
      const worker: Worker = {
        id: serve.id ?? `${card.model}-${serve.role}-${Math.random().toString(36).slice(2, 8)}`,
        epoch,
        role: serve.role,
        model: card.model,
        capacity: { requests: 64, queue: 256, kvBlocks: 0, ...serve.capacity },
        ranks: serve.ranks ?? 1,
        ...(serve.failureGroup === undefined ? {} : { failureGroup: serve.failureGroup }),
        labels: serve.labels ?? {},
      };
      const to = await listen();
      const host = createEngineHost({ engine, card, worker, clock, deadlines, logger });
      hosts.get(worker.id)?.close("abrupt");
      hosts.set(worker.id, host);
      const registrar = await register({
        store,
        record: create(RegistrationSchema, {
          id: worker.id,
          epoch,
          address: to,
          contract: card.contract,
          subject: { case: "worker", value: workerToWire(worker) },
          pid: process.pid,
        }),
        clock,
        deadlines,
        logger,
        onFenced(error) {
          logger.error("another life of this worker took over", { worker: worker.id, error: error.message });
          void end("orderly");
        },
      });
      const forget = (): void => {
        served.delete(handle);
        if (hosts.get(worker.id) === host) hosts.delete(worker.id);
        servedRequests.set(served.size);
      };
      const end = async (how: "orderly" | "abrupt"): Promise<void> => {
        forget();
        if (how === "abrupt") registrar.abandon();
        else await registrar.withdraw();
        host.close(how);
      };
      const handle: ServedEngine = {
        worker,
        async drain() {
          registrar.update((record) => (record.draining = true));
          await within(clock, deadlines.drainMs, host.drain());
        },
        close: () => end("orderly"),
        kill: () => void end("abrupt"),
        [Symbol.asyncDispose]: () => end("orderly"),
      };
      served.add(handle);
      servedRequests.set(served.size);
      logger.info("serving", { worker: worker.id, model: worker.model, role: worker.role, address: to });
      return handle;
    },
    workers(filter = {}) {
      if (isClosed) throw closed();
      return directory.source(filter);
    },
    async drain() {
      await Promise.all([...served].map((each) => each.drain()));
    },
    async close() {
      if (isClosed) return;
      isClosed = true;
      directory.close();
      await Promise.all([...served].map((each) => each.close()));
      await store.close();
      health.close();
      localHosts.delete(localAddress);
      if (address !== undefined) localHosts.delete(address);
      await (await server)?.close();
    },
    [Symbol.asyncDispose]: () => runtime.close(),
  };
  return runtime;
}

async function within(clock: Clock, waitMs: number, work: Promise<void>): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const timer = clock.schedule(waitMs, resolve);
    work.then(resolve, reject).finally(() => timer.cancel());
  });
}

function fail(worker: string): never {
  throw unknownWorker(worker);
}

function closed(): RuntimeError {
  return new RuntimeError({
    code: "RUNTIME_CLOSED",
    kind: "unavailable",
    message: "This runtime is closed.",
  });
}
