import { create, fromBinary } from "@bufbuild/protobuf";
import {
  FetchResponseSchema,
  OutputDetailSchema,
  type FetchRequest,
  type FetchResponse,
} from "@stator/contracts";
import type {
  Clock,
  Deadlines,
  Engine,
  EngineStatus,
  KvEventBatch,
  Logger,
  ModelCard,
  Worker,
} from "@stator/core";
import { batchToWire } from "../../codec/kv-event-codec.ts";
import { RuntimeError } from "../../runtime-error.ts";
import { createEventRing, type EventRing } from "./event-ring.ts";
import { pieceBytes } from "../limits.ts";
import type { SessionPort } from "../session-port.ts";
import { serveSession, type ServedSession } from "./worker-session.ts";

export interface EngineHostOptions {
  readonly engine: Engine;
  readonly card: ModelCard;
  readonly worker: Worker;
  readonly clock: Clock;
  readonly deadlines: Deadlines;
  readonly logger: Logger;
  /** Gets every batch of KV events, named. */
  readonly onEvents?: ((batch: KvEventBatch) => void) | undefined;
}

/** An engine as its sessions see it: one status, one ring of events, one count of requests for all callers. */
export interface EngineHost extends SessionPort {
  readonly worker: Worker;
  readonly card: ModelCard;
  readonly engine: Engine;
  readonly status: EngineStatus;
  readonly ring: EventRing;
  /** Requests in hand, over all callers. */
  readonly active: number;
  /** Why no further request is taken; undefined when one is. */
  refusal(): RuntimeError | undefined;
  /** Books a request; call what it returns at its end. */
  admit(): () => void;
  /** One step of an engine that does not tell its own. */
  countStep(): void;
  /** Keeps bytes until `Fetch` asks for them. */
  keepDetail(session: string, bytes: Uint8Array): bigint;
  register(session: string, served: ServedSession): () => void;
  /** Takes nothing new; resolves when nothing is in hand. */
  drain(): Promise<void>;
  /** Ends every session. `abrupt`: as the death of the process would. */
  close(how: "orderly" | "abrupt"): void;
}

/** Details that wait to be fetched, per session. */
const keptDetails = 512;

export function createEngineHost(options: EngineHostOptions): EngineHost {
  const { engine, worker, card } = options;
  const ring = createEventRing({ worker: worker.id, epoch: worker.epoch });
  const sessions = new Map<string, ServedSession>();
  const details = new Map<string, Map<bigint, Uint8Array>>();
  const idle = new Set<() => void>();
  const maxRequests = worker.capacity.requests + worker.capacity.queue;
  let active = 0;
  let steps = 0;
  let nextDetail = 1n;
  let isDraining = false;
  let isClosed = false;
  let told: EngineStatus | undefined;

  const unsubscribe = engine.onStatus?.((status) => {
    told = status;
    const batches = (status.events ?? []).map((batch) => ({
      ...batch,
      worker: worker.id,
      epoch: worker.epoch,
    }));
    for (const batch of batches) {
      ring.add(batch);
      options.onEvents?.(batch);
    }
    for (const session of sessions.values()) session.onStatus(batches);
  });

  const counted = (): EngineStatus => ({
    step: steps,
    stepAgeMs: 0,
    stepExpectedMs: 0,
    load: {
      running: Math.min(active, worker.capacity.requests),
      waiting: Math.max(0, active - worker.capacity.requests),
      queuedPrefillTokens: 0,
      kvBlocksUsed: 0,
      kvBlocksTotal: worker.capacity.kvBlocks,
    },
  });

  const host: EngineHost = {
    worker,
    card,
    engine,
    ring,
    get active() {
      return active;
    },
    get status() {
      // An engine that tells its steps has made none yet: a request that waits for its KV is not a stuck one.
      const status =
        told ??
        (unsubscribe === undefined
          ? counted()
          : { ...counted(), load: { ...counted().load, running: 0, waiting: 0 } });
      return isDraining ? { ...status, isDraining: true } : status;
    },
    refusal() {
      if (isDraining || told?.isDraining === true) {
        return new RuntimeError({
          code: "RUNTIME_WORKER_DRAINING",
          kind: "unavailable",
          message: `Worker ${worker.id} is draining and takes no new requests.`,
          data: { worker: worker.id, observation: "draining" },
        });
      }
      if (told?.unfit !== undefined) {
        return new RuntimeError({
          code: "RUNTIME_WORKER_UNFIT",
          kind: "unavailable",
          message: `Worker ${worker.id} cannot work without a restart: ${told.unfit}`,
          data: { worker: worker.id, observation: "unfit" },
        });
      }
      if (active >= maxRequests) {
        return new RuntimeError({
          code: "RUNTIME_WORKER_BUSY",
          kind: "overloaded",
          message: `Worker ${worker.id} holds ${active} requests, all that its capacity of ${worker.capacity.requests} running and ${worker.capacity.queue} waiting allows.`,
          data: { worker: worker.id, observation: "busy", retryAfterMs: options.deadlines.busyLeaseMs },
        });
      }
      return undefined;
    },
    admit() {
      active += 1;
      let isReleased = false;
      return () => {
        if (isReleased) return;
        isReleased = true;
        active -= 1;
        if (active > 0) return;
        for (const resolve of idle) resolve();
        idle.clear();
      };
    },
    countStep() {
      steps += 1;
    },
    keepDetail(session, bytes) {
      const id = nextDetail++;
      let kept = details.get(session);
      if (kept === undefined) details.set(session, (kept = new Map()));
      kept.set(id, bytes);
      // Those of requests that were given up are never asked for.
      if (kept.size > keptDetails)
        for (const oldest of [...kept.keys()].slice(0, -keptDetails)) kept.delete(oldest);
      return id;
    },
    register(session, served) {
      sessions.set(session, served);
      return () => {
        sessions.delete(session);
        details.delete(session);
      };
    },
    async drain() {
      isDraining = true;
      for (const session of sessions.values()) session.onStatus([]);
      if (active > 0) await new Promise<void>((resolve) => idle.add(resolve));
    },
    close(how) {
      if (isClosed) return;
      isClosed = true;
      isDraining = true;
      unsubscribe?.();
      for (const session of [...sessions.values()]) session.end(how);
    },
    session(requests, signal, frameGapMs = 0) {
      if (isClosed) throw unknownWorker(worker.id);
      return serveSession(host, { ...options, frameGapMs }, requests, signal);
    },
    fetch(request, signal) {
      return fetchBulk(host, details, request, signal);
    },
  };
  return host;
}

export function unknownWorker(worker: string): RuntimeError {
  return new RuntimeError({
    code: "RUNTIME_WORKER_UNKNOWN",
    kind: "unavailable",
    message: `No worker ${worker} is served here (any more).`,
    data: { worker, observation: "neverStarted" },
  });
}

async function* fetchBulk(
  host: EngineHost,
  details: Map<string, Map<bigint, Uint8Array>>,
  request: FetchRequest,
  signal: AbortSignal,
): AsyncGenerator<FetchResponse> {
  const { what } = request;
  switch (what.case) {
    case "artifact":
      yield* pieces(await artifact(host.engine, what.value, signal));
      return;
    case "snapshot":
      yield* snapshot(host);
      return;
    case "detail": {
      const kept = details.get(what.value.session);
      const bytes = kept?.get(what.value.id);
      kept?.delete(what.value.id);
      if (bytes === undefined) throw unknownArtifact(`detail ${what.value.id}`);
      yield* pieces(bytes);
      return;
    }
    default:
      throw unknownArtifact("that this version does not know");
  }
}

async function artifact(engine: Engine, digest: string, signal: AbortSignal): Promise<Uint8Array> {
  if (engine.artifact === undefined) throw unknownArtifact(digest);
  return engine.artifact(digest, { signal });
}

function* snapshot(host: EngineHost): Generator<FetchResponse> {
  const held: KvEventBatch = host.engine.snapshot?.() ?? {
    worker: host.worker.id,
    epoch: host.worker.epoch,
    sequence: host.ring.lastSequence,
    events: host.ring.after(0n)?.flatMap((batch) => batch.events) ?? [],
  };
  const batch = { ...held, worker: host.worker.id, epoch: host.worker.epoch, isSnapshot: true };
  for (const events of batchToWire(batch, 80 * 1024)) yield create(FetchResponseSchema, { events });
}

function* pieces(bytes: Uint8Array): Generator<FetchResponse> {
  for (let from = 0; from < bytes.length; from += pieceBytes) {
    yield create(FetchResponseSchema, { data: bytes.subarray(from, from + pieceBytes) });
  }
}

function unknownArtifact(name: string): RuntimeError {
  return new RuntimeError({
    code: "RUNTIME_ARTIFACT_UNKNOWN",
    kind: "notFound",
    message: `This worker has no artefact ${name}.`,
  });
}

/** An encoded detail, as the bulk service gave it. */
export function decodeDetail(bytes: Uint8Array): ReturnType<typeof create<typeof OutputDetailSchema>> {
  return fromBinary(OutputDetailSchema, bytes);
}
