import { create } from "@bufbuild/protobuf";
import {
  EventsFromSchema,
  FetchRequestSchema,
  HeartbeatSchema,
  HelloSchema,
  SessionRequestSchema,
  StartSchema,
  type OutputDetail,
  type SessionRequest,
  type SessionResponse,
  type StepFrame,
  type Welcome,
} from "@stator/contracts";
import {
  cancelled,
  contractVersion,
  StatorError,
  type Clock,
  type Deadlines,
  type EngineStatus,
  type GenerateRequest,
  type Handoff,
  type KvEventBatch,
  type TokenBatch,
  type WorkerHealth,
} from "@stator/core";
import { errorFromWire } from "../codec/error-codec.ts";
import { handoffToWire } from "../codec/handoff-codec.ts";
import { createBatchAssembler } from "../codec/kv-event-codec.ts";
import { encodeRequest } from "../codec/request-codec.ts";
import { statusFromWire } from "../codec/status-codec.ts";
import { RuntimeError } from "../runtime-error.ts";
import { collectBytes } from "./bulk.ts";
import { decodeDetail } from "./engine-host.ts";
import { detailFromWire, readRows } from "./frame-reader.ts";
import { longestRequestBytes, pieceBytes, requestBytes } from "./limits.ts";
import { createRemoteStream, type RemoteStream } from "./remote-stream.ts";
import type { SessionLink } from "./session-port.ts";
import { createTurn, endOfTurn } from "./turn.ts";

export interface CallerSessionOptions {
  readonly link: SessionLink;
  readonly worker: string;
  /** The life that is expected there. */
  readonly epoch: string;
  /** Unique per connection. */
  readonly session: string;
  /** KV events seen of this life so far; those after it are asked for. */
  readonly eventsAfter: bigint;
  readonly health: WorkerHealth;
  readonly clock: Clock;
  readonly deadlines: Deadlines;
  readonly onWelcome: (welcome: Welcome) => void;
  readonly onStatus: (status: EngineStatus) => void;
  /** Called once. `undefined`: we closed it. */
  readonly onEnd: (error: unknown) => void;
}

/** The caller's side of one session: one life of one connection to one life of one worker. */
export interface CallerSession {
  generate(request: GenerateRequest, signal: AbortSignal): AsyncIterable<TokenBatch>;
  renew(handoff: Handoff): void;
  release(handoff: Handoff): void;
  /** Asks for a snapshot of the KV blocks; it comes as a status with one snapshot batch. */
  refreshEvents(): void;
  /** Gives up the running requests, there and here; the session goes on. */
  abandon(error: StatorError): void;
  /** Ends it; running requests fail with `error`. */
  close(error?: StatorError): void;
}

interface Outgoing {
  readonly handle: number;
  readonly bytes: Uint8Array;
  sent: number;
}

interface Running {
  readonly stream: RemoteStream;
  /** When its start was said whole, while no answer came; 0 once it did. */
  sentAtMs: number;
  /** Batches wait behind a detail that comes over the bulk service. */
  behind: Promise<void> | undefined;
}

export function openSession(options: CallerSessionOptions): CallerSession {
  const { link, worker, clock, deadlines, health } = options;
  const turn = createTurn();
  const running = new Map<number, Running>();
  const assembler = createBatchAssembler(options);
  const controller = new AbortController();
  const outgoing: Outgoing[] = [];
  let cancels: number[] = [];
  let renews: Handoff[] = [];
  let releases: Handoff[] = [];
  let nextHandle = 1;
  let lastFrame = 0n;
  let lastFrameMs = 0;
  let isHeartbeatDue = false;
  let isWelcome = false;
  let lastSequence = options.eventsAfter;
  // While a snapshot is fetched, in-band batches wait for it here.
  let heldBatches: KvEventBatch[] | undefined;
  let lastStatus: EngineStatus | undefined;
  let ended: { readonly error: unknown } | undefined;

  const end = (error: unknown): void => {
    if (ended !== undefined) return;
    ended = { error };
    timer.cancel();
    controller.abort();
    turn.open();
    const failure = error ?? closedError(worker);
    for (const { stream } of running.values()) stream.fail(failure);
    running.clear();
    options.onEnd(error);
  };

  const tick = (): void => {
    isHeartbeatDue = true;
    turn.open();
    const nowMs = clock.now();
    for (const [handle, request] of running) {
      if (request.sentAtMs === 0) continue;
      // Without frames, silence decides.
      if (
        nowMs - request.sentAtMs < deadlines.dispatchAckMs ||
        lastFrameMs < request.sentAtMs + deadlines.heartbeatMs
      )
        continue;
      running.delete(handle);
      cancels.push(handle);
      request.stream.fail(
        new RuntimeError({
          code: "RUNTIME_DISPATCH_TIMEOUT",
          kind: "unavailable",
          message: `Worker ${worker} did not answer a start within ${deadlines.dispatchAckMs} ms.`,
          data: { worker, observation: "neverStarted" },
        }),
      );
    }
    timer = clock.schedule(deadlines.heartbeatMs, tick);
  };
  let timer = clock.schedule(deadlines.heartbeatMs, tick);

  async function* requests(): AsyncGenerator<SessionRequest> {
    yield create(SessionRequestSchema, {
      hello: create(HelloSchema, {
        session: options.session,
        contract: { min: 1, max: contractVersion },
        worker,
        epoch: options.epoch,
      }),
      eventsFrom: create(EventsFromSchema, { epoch: options.epoch, sequence: lastSequence }),
    });
    for (;;) {
      await turn.pass();
      await endOfTurn();
      if (ended !== undefined) return;
      yield compose();
    }
  }

  const compose = (): SessionRequest => {
    const message = create(SessionRequestSchema, {
      cancels,
      renews: renews.map(handoffToWire),
      releases: releases.map(handoffToWire),
    });
    cancels = [];
    renews = [];
    releases = [];
    let left = requestBytes;
    while (outgoing.length > 0 && left > 0) {
      const next = outgoing.shift()!;
      const part = next.bytes.subarray(next.sent, next.sent + pieceBytes);
      message.starts.push(create(StartSchema, { handle: next.handle, totalBytes: next.bytes.length, part }));
      next.sent += part.length;
      left -= part.length;
      // A long one goes behind the others, so that short ones need not wait for all of it.
      if (next.sent < next.bytes.length) outgoing.push(next);
      else {
        const request = running.get(next.handle);
        if (request !== undefined) request.sentAtMs = clock.now();
      }
    }
    if (outgoing.length > 0) turn.open();
    if (isHeartbeatDue) {
      message.heartbeat = create(HeartbeatSchema, { lastFrame });
      isHeartbeatDue = false;
    }
    return message;
  };

  const cancel = (handle: number): void => {
    if (!running.delete(handle)) return;
    const unsent = outgoing.findIndex((each) => each.handle === handle);
    const wasSaid = unsent < 0 || outgoing[unsent]!.sent > 0;
    if (unsent >= 0) outgoing.splice(unsent, 1);
    if (!wasSaid) return;
    cancels.push(handle);
    turn.open();
  };

  const answer = (handle: number, error: StatorError | undefined): void => {
    const request = running.get(handle);
    if (request === undefined) return;
    request.sentAtMs = 0;
    if (error === undefined) return;
    running.delete(handle);
    request.stream.fail(error);
  };

  const onRow = (
    handle: number,
    firstIndex: number,
    ids: readonly number[] | Uint32Array,
    wire: OutputDetail | undefined,
  ): void => {
    const request = running.get(handle);
    if (request === undefined) return;
    const { stream } = request;
    if (wire === undefined && request.behind === undefined) {
      stream.push(firstIndex, ids, undefined);
      return;
    }
    if (wire?.bulk === undefined && request.behind === undefined) {
      stream.push(firstIndex, ids, wire && detailFromWire(wire));
      if (stream.isOver) running.delete(handle);
      return;
    }
    const push = async (): Promise<void> => {
      try {
        const detail = wire?.bulk === undefined ? wire : await fetchDetail(wire.bulk);
        stream.push(firstIndex, ids, detail && detailFromWire(detail));
        if (stream.isOver) running.delete(handle);
      } catch (error) {
        running.delete(handle);
        stream.fail(error);
      }
    };
    request.behind = request.behind === undefined ? push() : request.behind.then(push);
  };

  const fetchDetail = async (id: bigint): Promise<OutputDetail> =>
    decodeDetail(
      await collectBytes(
        link.fetch(
          create(FetchRequestSchema, {
            worker,
            what: { case: "detail", value: { session: options.session, id } },
          }),
          controller.signal,
        ),
      ),
    );

  const onFrame = (frame: StepFrame): void => {
    lastFrame = frame.sequence;
    lastFrameMs = clock.now();
    if (frame.outputs !== undefined) readRows(frame.outputs, frame.details, onRow);
    for (const { handle, error } of frame.failed) {
      const request = running.get(handle);
      if (request?.behind === undefined) answer(handle, errorFromWire(error));
      else void request.behind.then(() => answer(handle, errorFromWire(error)));
    }
    const batches: KvEventBatch[] = [];
    for (const wire of frame.events) {
      const batch = assembler.add(wire);
      if (batch === undefined || batch.sequence <= lastSequence) continue;
      lastSequence = batch.sequence;
      batches.push(batch);
    }
    if (frame.snapshotDue) fetchSnapshot();
    if (heldBatches !== undefined) heldBatches.push(...batches.splice(0));
    const { status: wire } = frame;
    if (wire === undefined) {
      health.observe({ type: "frame" });
      return;
    }
    const status = statusFromWire(wire);
    health.observe({
      type: "frame",
      step: status.step,
      running: status.load.running + status.load.waiting,
      stepAgeMs: status.stepAgeMs,
      stepExpectedMs: status.stepExpectedMs,
    });
    if (status.isDraining === true && health.condition !== "draining") health.observe({ type: "draining" });
    if (status.unfit !== undefined && health.condition !== "unfit")
      health.observe({ type: "unfit", reason: status.unfit });
    options.onStatus(batches.length === 0 ? status : { ...status, events: batches });
    lastStatus = status;
  };

  const fetchSnapshot = (): void => {
    if (heldBatches !== undefined) return;
    heldBatches = [];
    const fetch = async (): Promise<void> => {
      const pieces = createBatchAssembler(options);
      const what = { case: "snapshot" as const, value: { epoch: options.epoch } };
      let snapshot: KvEventBatch | undefined;
      for await (const { events } of link.fetch(
        create(FetchRequestSchema, { worker, what }),
        controller.signal,
      )) {
        if (events !== undefined) snapshot = pieces.add(events) ?? snapshot;
      }
      const held = heldBatches ?? [];
      heldBatches = undefined;
      if (snapshot === undefined || ended !== undefined) return;
      const { sequence } = snapshot;
      if (sequence > lastSequence) lastSequence = sequence;
      options.onStatus({
        ...(lastStatus ?? emptyStatus),
        events: [snapshot, ...held.filter((batch) => batch.sequence > sequence)],
      });
    };
    // A failed fetch is the session's failure too, or is asked for again by the next listener.
    fetch().catch(() => (heldBatches = undefined));
  };

  const hear = (message: SessionResponse): void => {
    if (message.welcome !== undefined) {
      isWelcome = true;
      options.onWelcome(message.welcome);
    }
    for (const handle of message.accepted) answer(handle, undefined);
    for (const { handle, error } of message.rejected) answer(handle, errorFromWire(error));
    if (message.frame !== undefined) onFrame(message.frame);
  };

  const listen = async (): Promise<void> => {
    try {
      for await (const message of link.session(requests(), controller.signal)) {
        if (ended !== undefined) return;
        hear(message);
      }
      end(cutError(worker, undefined));
    } catch (error) {
      // A refusal says why. Later it is a cut, whatever the transport calls it: `Canceled` is its word for a killed peer.
      end(!isWelcome && StatorError.isInstance(error) ? error : cutError(worker, error));
    }
  };
  void listen();

  return {
    generate(request, signal) {
      if (signal.aborted) return failing(cancelled(signal));
      if (ended !== undefined) return failing(notConnected(worker));
      const bytes = encodeRequest(request);
      if (bytes.length > longestRequestBytes) {
        return failing(
          new RuntimeError({
            code: "RUNTIME_REQUEST_TOO_LARGE",
            kind: "invalid",
            message: `Request ${request.id} has ${bytes.length} bytes; ${longestRequestBytes} are allowed.`,
          }),
        );
      }
      const handle = nextHandle++;
      const onAbort = (): void => {
        cancel(handle);
        stream.fail(cancelled(signal));
      };
      const stream = createRemoteStream((hasLeft) => {
        signal.removeEventListener("abort", onAbort);
        if (hasLeft) cancel(handle);
      });
      signal.addEventListener("abort", onAbort, { once: true });
      running.set(handle, { stream, sentAtMs: 0, behind: undefined });
      outgoing.push({ handle, bytes, sent: 0 });
      turn.open();
      return stream;
    },
    renew(handoff) {
      renews.push(handoff);
      turn.open();
    },
    release(handoff) {
      releases.push(handoff);
      turn.open();
    },
    refreshEvents: fetchSnapshot,
    abandon(error) {
      for (const [handle, { stream }] of [...running]) {
        cancel(handle);
        stream.fail(error);
      }
    },
    close(error) {
      end(error);
    },
  };
}

const emptyStatus: EngineStatus = {
  step: 0,
  stepAgeMs: 0,
  stepExpectedMs: 0,
  load: { running: 0, waiting: 0, queuedPrefillTokens: 0, kvBlocksUsed: 0, kvBlocksTotal: 0 },
};

/** An iterable that throws. */
export function failing(error: StatorError): AsyncIterable<TokenBatch> {
  return { [Symbol.asyncIterator]: () => ({ next: () => Promise.reject(error) }) };
}

export function notConnected(worker: string): RuntimeError {
  return new RuntimeError({
    code: "RUNTIME_NOT_CONNECTED",
    kind: "unavailable",
    message: `There is no session with worker ${worker} now.`,
    data: { worker, observation: "neverStarted" },
  });
}

function closedError(worker: string): RuntimeError {
  return new RuntimeError({
    code: "RUNTIME_CLOSED",
    kind: "unavailable",
    message: `The session with worker ${worker} was closed here.`,
    data: { worker },
  });
}

function cutError(worker: string, cause: unknown): RuntimeError {
  return new RuntimeError({
    code: "RUNTIME_SESSION_CUT",
    kind: "unavailable",
    message: `The session with worker ${worker} broke${cause instanceof Error ? `: ${cause.message.replace(/\.$/, "")}` : ""}.`,
    cause,
    data: { worker, observation: "cut" },
  });
}
