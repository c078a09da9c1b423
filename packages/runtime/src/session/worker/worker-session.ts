import { create } from "@bufbuild/protobuf";
import {
  HandoffOutcome,
  SessionResponseSchema,
  WelcomeSchema,
  RejectedSchema,
  type KvEventBatch as WireBatch,
  type Rejected,
  type SessionRequest,
  type SessionResponse,
  type Start,
  type StepFrame,
} from "@stator/contracts";
import {
  type Clock,
  type Deadlines,
  type GenerateRequest,
  type KvEventBatch,
  type Logger,
} from "@stator/core";
import { cardToWire } from "../../codec/card-codec.ts";
import { errorToWire } from "../../codec/error-codec.ts";
import { handoffFromWire, outcomes } from "../../codec/handoff-codec.ts";
import { batchToWire } from "../../codec/kv-event-codec.ts";
import { decodeRequest } from "../../codec/request-codec.ts";
import { statusToWire } from "../../codec/status-codec.ts";
import { workerToWire } from "../../codec/worker-codec.ts";
import { RuntimeError } from "../../runtime-error.ts";
import { agreeOnContract } from "./agree-on-contract.ts";
import type { EngineHost } from "./engine-host.ts";
import { createFrameBuilder } from "./frame-builder.ts";
import { frameBytes } from "../limits.ts";
import { createIncomingStarts } from "./incoming-starts.ts";
import { createTurn, endOfTurn } from "../turn.ts";
import { createGap, createWaiters, withinMs } from "../waits.ts";

/** A running session, as its host drives it. */
export interface ServedSession {
  /** The engine told a new status; `batches` are its events. */
  onStatus(batches: readonly KvEventBatch[]): void;
  end(how: "orderly" | "abrupt"): void;
}

interface Context {
  readonly clock: Clock;
  readonly deadlines: Deadlines;
  readonly logger: Logger;
  /** Least time between two frames that follow each other. */
  readonly frameGapMs: number;
}

/** A status goes into a frame at most this often, in milliseconds, unless something in it must be known at once. */
const statusEveryMs = 5;
/** Room for events in a frame, in bytes: tokens come first. */
const eventBytes = 80 * 1024;

/**
 * The worker's side of one caller's session: requests in, one frame per loop turn out.
 *
 * @throws RuntimeError when hello is missing or does not fit.
 */
export async function* serveSession(
  host: EngineHost,
  context: Context,
  requests: AsyncIterable<SessionRequest>,
  signal: AbortSignal,
): AsyncGenerator<SessionResponse> {
  const { clock, deadlines, logger, frameGapMs } = context;
  const incoming = requests[Symbol.asyncIterator]();
  const first = await withinMs(clock, deadlines.connectMs, incoming.next());
  const hello = first === undefined || first.done === true ? undefined : first.value.hello;
  const contract = agreeOnContract(hello, host.card, host.worker);
  const session = hello?.session ?? "";

  const turn = createTurn();
  const gap = createGap();
  const room = createWaiters();
  const builder = createFrameBuilder((bytes) => host.keepDetail(session, bytes));
  const running = new Map<number, AbortController>();
  const starts = createIncomingStarts();
  let accepted: number[] = [];
  let rejected: Rejected[] = [];
  let events: WireBatch[] = [];
  let isSnapshotDue = false;
  let isStatusUrgent = true;
  let statusAtMs = Number.NEGATIVE_INFINITY;
  let frameAtMs = 0;
  let sequence = 0n;
  let heard = 0n;
  let heardMs = clock.now();
  let ending: { readonly error?: unknown } | undefined;

  const end = (error?: unknown): void => {
    ending ??= error === undefined ? {} : { error };
    // The engine's work must not wait for a stream that nobody reads any more.
    for (const controller of running.values()) controller.abort(error);
    turn.open();
    gap.end();
    room.release();
  };

  const served: ServedSession = {
    onStatus(batches) {
      for (const batch of batches) events.push(...batchToWire(unnamed(batch), eventBytes));
      if (events.length > 0 || host.status.isDraining === true || host.status.unfit !== undefined)
        isStatusUrgent = true;
      if (isStatusUrgent) turn.open();
    },
    end(how) {
      const isAbrupt = how === "abrupt";
      end(isAbrupt ? new Error("The worker died.") : undefined);
    },
  };
  const unregister = host.register(session, served);
  const onAbort = (): void => end();
  signal.addEventListener("abort", onAbort, { once: true });

  let tickDueMs = clock.now() + deadlines.heartbeatMs;
  const tick = (): void => {
    const nowMs = clock.now();
    // Our own loop was late: the caller's heartbeats of that time may lie unread.
    if (nowMs - tickDueMs > deadlines.lateLoopMs) heardMs = nowMs;
    if (nowMs - heardMs > deadlines.callerSilentMs) {
      logger.warn("caller is silent: its requests are aborted", {
        worker: host.worker.id,
        session,
        requests: running.size,
      });
      end(
        new RuntimeError({
          code: "RUNTIME_CALLER_SILENT",
          kind: "unavailable",
          message: `The caller was silent for ${Math.round(nowMs - heardMs)} ms.`,
          data: { worker: host.worker.id, observation: "callerSilent" },
        }),
      );
      return;
    }
    isStatusUrgent = true;
    turn.open();
    tickDueMs = nowMs + deadlines.heartbeatMs;
    timer = clock.schedule(deadlines.heartbeatMs, tick);
  };
  let timer = clock.schedule(deadlines.heartbeatMs, tick);

  const reject = (handle: number, error: unknown): void => {
    rejected.push(create(RejectedSchema, { handle, error: errorToWire(error) }));
    turn.open();
  };

  const start = (part: Start): void => {
    let whole: Uint8Array | undefined;
    try {
      whole = starts.add(part, () => host.refusal());
    } catch (refusal) {
      reject(part.handle, refusal);
      return;
    }
    if (whole !== undefined) dispatch(part.handle, whole);
  };

  const dispatch = (handle: number, bytes: Uint8Array): void => {
    const refusal = host.refusal();
    if (refusal !== undefined) return reject(handle, refusal);
    let request: GenerateRequest;
    try {
      request = decodeRequest(bytes);
    } catch (error) {
      return reject(handle, malformed(error));
    }
    accepted.push(handle);
    turn.open();
    void pump(handle, request);
  };

  const pump = async (handle: number, request: GenerateRequest): Promise<void> => {
    const controller = new AbortController();
    running.set(handle, controller);
    const release = host.admit();
    const countsSteps = host.engine.onStatus === undefined;
    let isFinished = false;
    try {
      for await (const batch of host.engine.generate(request, { signal: controller.signal })) {
        if (controller.signal.aborted) break;
        if (countsSteps) host.countStep();
        let offset = 0;
        do {
          while (builder.isFull) {
            turn.open();
            gap.end();
            await room.wait();
            if (controller.signal.aborted) return;
          }
          offset = builder.add(handle, batch, offset);
        } while (offset < batch.ids.length);
        turn.open();
        if (batch.finish !== undefined) isFinished = true;
      }
      if (!isFinished && !controller.signal.aborted) {
        throw new RuntimeError({
          code: "RUNTIME_STREAM_INCOMPLETE",
          kind: "internal",
          message: `The engine of worker ${host.worker.id} ended request ${request.id} without a final batch.`,
          data: { observation: "cut" },
        });
      }
    } catch (error) {
      if (controller.signal.aborted) return;
      builder.fail(handle, errorToWire(error));
      turn.open();
    } finally {
      running.delete(handle);
      release();
    }
  };

  const hear = (message: SessionRequest): void => {
    heard += 1n;
    heardMs = clock.now();
    for (const part of message.starts) start(part);
    for (const handle of message.cancels) {
      starts.remove(handle);
      running.get(handle)?.abort();
    }
    if (message.eventsFrom !== undefined) {
      const missed =
        message.eventsFrom.epoch === host.worker.epoch
          ? host.ring.after(message.eventsFrom.sequence)
          : undefined;
      if (missed === undefined) isSnapshotDue = true;
      // Replayed ones first; those that wait already are among them.
      else events = missed.flatMap((batch) => [...batchToWire(unnamed(batch), eventBytes)]);
      isStatusUrgent = true;
      turn.open();
    }
    for (const handoff of message.renews) host.engine.renewHandoff?.(handoffFromWire(handoff));
    for (const [i, handoff] of message.releases.entries()) {
      const outcome = outcomes.word(message.releaseOutcomes[i] ?? HandoffOutcome.TAKEN, "taken");
      host.engine.releaseHandoff?.(handoffFromWire(handoff), outcome);
    }
  };

  const listen = async (): Promise<void> => {
    try {
      for (;;) {
        const next = await incoming.next();
        if (next.done === true) return end();
        if (ending !== undefined) return;
        hear(next.value);
      }
    } catch (error) {
      end(error);
    }
  };

  const frame = (): StepFrame | undefined => {
    const nowMs = clock.now();
    const isStatusDue = isStatusUrgent || nowMs - statusAtMs >= statusEveryMs;
    if (builder.isEmpty && !isStatusDue) return undefined;
    const { frame: next, bytes } = builder.take();
    room.release();
    let left = frameBytes - bytes;
    while (events.length > 0) {
      const size = wireBatchBytes(events[0]!);
      if (size > left) break;
      left -= size;
      next.events.push(events.shift()!);
    }
    if (isStatusDue) {
      next.status = statusToWire(host.status);
      statusAtMs = nowMs;
    }
    next.snapshotDue = isSnapshotDue;
    isSnapshotDue = false;
    isStatusUrgent = events.length > 0;
    if (isStatusUrgent) turn.open();
    next.sequence = ++sequence;
    next.heard = heard;
    return next;
  };

  try {
    if (signal.aborted) return;
    hear(first?.value as SessionRequest);
    void listen();
    yield create(SessionResponseSchema, {
      welcome: create(WelcomeSchema, {
        card: cardToWire(host.card),
        worker: workerToWire(host.worker),
        contract,
        hasSnapshot: host.engine.snapshot !== undefined,
      }),
    });
    for (;;) {
      await turn.pass();
      await endOfTurn();
      const early = frameGapMs - (performance.now() - frameAtMs);
      if (early > 0 && !builder.isFull && ending === undefined) await gap.pass(early);
      if (ending !== undefined) break;
      const next = frame();
      // Answers and status cost little: tokens need not keep their distance from those.
      if (next?.outputs !== undefined) frameAtMs = performance.now();
      if (next === undefined && accepted.length === 0 && rejected.length === 0) continue;
      const response = create(SessionResponseSchema, { accepted, rejected });
      accepted = [];
      rejected = [];
      if (next !== undefined) response.frame = next;
      yield response;
    }
    if (ending.error !== undefined) throw ending.error;
  } finally {
    end();
    timer.cancel();
    signal.removeEventListener("abort", onAbort);
    unregister();
    void incoming.return?.();
  }
}

/** Without worker and epoch: the session has them. */
function unnamed(batch: KvEventBatch): KvEventBatch {
  return { ...batch, worker: "", epoch: "" };
}

/** Bytes of a message of events, rounded up. */
function wireBatchBytes({ columns, events }: WireBatch): number {
  let bytes = 128;
  if (columns !== undefined) bytes += 25 * columns.kinds.length + columns.sequenceHashes.length;
  for (const { event } of events) {
    bytes += 64;
    if (event.case === "stored" || event.case === "removed") {
      bytes += event.value.sequenceHashes.length + event.value.engineKeys.length;
    }
  }
  return bytes;
}

function malformed(cause: unknown): RuntimeError {
  return new RuntimeError({
    code: "RUNTIME_CONTRACT_MISMATCH",
    kind: "incompatible",
    message: "The request could not be decoded.",
    cause,
  });
}
