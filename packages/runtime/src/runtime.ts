import type { DescService } from "@bufbuild/protobuf";
import { createClient, createRouterTransport, type Client, type ServiceImpl } from "@connectrpc/connect";
import type { Registration } from "@stator/contracts";
import {
  createHealthGroup,
  noopMeter,
  silentLogger,
  systemClock,
  type Clock,
  type Deadlines,
  type Engine,
  type HealthGroup,
  type KvEventBatch,
  type Logger,
  type Meter,
  type WorkerSource,
} from "@stator/core";
import type { Discovery } from "./discovery/discovery.ts";
import { memoryDiscovery } from "./discovery/memory-discovery.ts";
import type { EventPlane } from "./events/event-plane.ts";
import { createKvFeed } from "./events/kv-feed.ts";
import { closeLocalEnd, findHost, findLocalEnd, openLocalEnd, type LocalEnd } from "./local-ends.ts";
import { memoryQueue } from "./queue/memory-queue.ts";
import type { WorkQueue, WorkQueues } from "./queue/work-queue.ts";
import { randomName, type RuntimeContext } from "./runtime-context.ts";
import { RuntimeError } from "./runtime-error.ts";
import { serveEngine, type ServedEngine, type ServeEngineOptions } from "./serve-engine.ts";
import { createServicePool, type ServicePool } from "./services/service-pool.ts";
import { createServiceTransport } from "./services/service-transport.ts";
import { serveService, type ServedService, type ServeServiceOptions } from "./services/serve-service.ts";
import { routeSession } from "./session/worker/route-session.ts";
import type { SessionLink } from "./session/session-port.ts";
import { openH2Link } from "./wire/h2-link.ts";
import { startRpcServer, type RpcServer } from "./wire/rpc-server.ts";
import { openServiceLink } from "./wire/service-link.ts";
import { sessionRoutes } from "./wire/session-routes.ts";
import { createWorkerDirectory, type WorkerFilter } from "./workers/worker-directory.ts";
import { createWorkerMetrics } from "./workers/worker-metrics.ts";

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
  /** Separates deployments that share a store. 1 to 63 lower-case letters, digits and dashes; default "default". */
  readonly namespace?: string;
  readonly listen?: ListenOptions;
  /** Where `queued` and `serveQueue` keep jobs. Default `memoryQueue()`: this process only. */
  readonly queue?: WorkQueues;
  /** Tells KV events to processes that hold no session: standby indexes, other routers. Default: nowhere. */
  readonly events?: EventPlane;
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

export interface ClientOptions {
  /** Which of several deployments of the service. Default "default". */
  readonly name?: string;
}

/** Processes and wires: who exists, one session per worker, typed services, and orderly ends. */
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
  /** Serves a Connect service of one's own: an encoder, a guardrail. */
  serveService<Service extends DescService>(
    service: Service,
    implementation: Partial<ServiceImpl<Service>>,
    options?: ServeServiceOptions,
  ): Promise<ServedService>;
  /**
   * A client of a Connect service, wherever in the namespace it is served. Calls that never reached an instance are
   * repeated at another one; so are unavailable ones of methods marked free of side effects or idempotent. With nobody
   * there, calls fail with `RUNTIME_SERVICE_UNAVAILABLE`.
   */
  client<Service extends DescService>(service: Service, options?: ClientOptions): Client<Service>;
  /**
   * KV events of all workers of the namespace over the event plane, without a session to any: a snapshot of each first,
   * then its batches without gaps. What a session says of a worker is newer and wins. Returns how to stop.
   *
   * @throws RuntimeError `RUNTIME_OPTION_INVALID` without `events`.
   */
  kvEvents(listener: (batch: KvEventBatch) => void): () => void;
  /** The work queue, opened with the first use. */
  queue(): Promise<WorkQueue>;
  /** Drains all that is served here. */
  drain(): Promise<void>;
  /** Ends sessions, registrations and sockets. Idempotent. */
  close(): Promise<void>;
}

/**
 * A runtime.
 *
 * @throws RuntimeError `RUNTIME_OPTION_INVALID`; `RUNTIME_DISCOVERY_FAILED` when the store cannot be opened at all.
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
  const storeUp = meter
    .gauge({ name: "store_up", help: "Whether the discovery store answers.", labels: ["store"] })
    .labels({ store: "discovery" });
  storeUp.set(1);
  const onAnswer = (isUp: boolean): void => storeUp.set(isUp ? 1 : 0);
  const store = await discovery.open({ namespace, clock, deadlines, logger, onAnswer });
  const events = await options.events?.open({ namespace, clock, deadlines, logger });
  const feeds = new Set<() => void>();
  const end: LocalEnd = { hosts: new Map(), services: new Map() };
  const served = new Set<ServedEngine | ServedService>();
  const pools = new Map<string, ServicePool>();
  const localAddress = `memory:${process.pid}/${randomName(8)}`;
  let server: Promise<RpcServer> | undefined;
  let queue: Promise<WorkQueue> | undefined;
  let address = localAddress;
  let isClosed = false;
  openLocalEnd(localAddress, end);

  const context: RuntimeContext = {
    store,
    clock,
    deadlines,
    logger,
    onAnswer,
    health,
    end,
    events,
    async listen() {
      if (discovery.isLocal) return localAddress;
      const { host = "127.0.0.1", port = 0, advertise = host } = options.listen ?? {};
      server ??= startRpcServer({
        host,
        port,
        silentConnectionMs: deadlines.silentConnectionMs,
        routes: (router) => sessionRoutes(router, (worker) => findHost(end, worker)),
      });
      const started = await server;
      address = `http://${advertise.includes(":") ? `[${advertise}]` : advertise}:${started.port}`;
      openLocalEnd(address, end);
      return address;
    },
    async reroute() {
      (await server)?.route((router) => {
        sessionRoutes(router, (worker) => findHost(end, worker));
        for (const route of end.services.values()) route(router);
      });
    },
  };

  const openLink = (to: string): SessionLink => {
    const link = linkTo(to);
    return options.throughLink === undefined ? link : options.throughLink(link, to);
  };
  const linkTo = (to: string): SessionLink => {
    const local =
      options.isShortcutAllowed === false && discovery.isLocal !== true ? undefined : findLocalEnd(to);
    if (local === undefined) return openH2Link({ authority: to, clock, connectMs: deadlines.connectMs });
    return {
      session: (requests, signal) => routeSession(requests, signal, (worker) => findHost(local, worker)),
      fetch: (request, signal) => findHost(local, request.worker).fetch(request, signal),
      close() {},
    };
  };

  const openTransport = (record: Registration) => {
    const local = findLocalEnd(record.address);
    if (local === undefined) {
      return openServiceLink({ authority: record.address, clock, connectMs: deadlines.connectMs });
    }
    const transport = createRouterTransport((router) => {
      for (const route of local.services.values()) route(router);
    });
    return { transport, close() {} };
  };

  const metrics = createWorkerMetrics(meter, clock);
  const directory = createWorkerDirectory({ store, openLink, health, clock, deadlines, logger, metrics });
  const forget = (each: ServedEngine | ServedService): void => void served.delete(each);
  const check = (): void => {
    if (!isClosed) return;
    throw new RuntimeError({
      code: "RUNTIME_CLOSED",
      kind: "unavailable",
      message: "This runtime is closed.",
    });
  };

  const runtime: Runtime = {
    namespace,
    clock,
    health,
    async serveEngine(engine, serve) {
      check();
      const each = await serveEngine(context, engine, serve, forget);
      served.add(each);
      return each;
    },
    workers(filter = {}) {
      check();
      return directory.source(filter);
    },
    async serveService(service, implementation, serve = {}) {
      check();
      const each = await serveService(context, service, implementation, serve, forget);
      served.add(each);
      return each;
    },
    client(service, { name = "default" } = {}) {
      check();
      const key = `${service.typeName}/${name}`;
      let pool = pools.get(key);
      if (pool === undefined) {
        pool = createServicePool({ ...context, typeName: service.typeName, name, openTransport });
        pools.set(key, pool);
      }
      return createClient(service, createServiceTransport({ pool, clock, deadlines }));
    },
    kvEvents(listener) {
      check();
      if (events === undefined) {
        throw new RuntimeError({
          code: "RUNTIME_OPTION_INVALID",
          kind: "invalid",
          message: "kvEvents needs an event plane: give createRuntime `events`.",
        });
      }
      const stop = createKvFeed({ channel: events, store, openLink, clock, logger }, listener);
      feeds.add(stop);
      return () => {
        feeds.delete(stop);
        stop();
      };
    },
    queue() {
      check();
      queue ??= (options.queue ?? memoryQueue()).open({ namespace, clock, deadlines, logger });
      return queue;
    },
    async drain() {
      await Promise.all([...served].map((each) => each.drain()));
    },
    async close() {
      if (isClosed) return;
      isClosed = true;
      directory.close();
      for (const pool of pools.values()) pool.close();
      await Promise.all([...served].map((each) => each.close()));
      for (const stop of feeds) stop();
      await (await queue)?.close();
      await events?.close();
      await store.close();
      health.close();
      closeLocalEnd(localAddress);
      closeLocalEnd(address);
      await (await server)?.close();
    },
    [Symbol.asyncDispose]: () => runtime.close(),
  };
  return runtime;
}
