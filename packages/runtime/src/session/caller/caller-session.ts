import { create } from "@bufbuild/protobuf";
import {
  DetailRefSchema,
  EventsFromSchema,
  HeartbeatSchema,
  HelloSchema,
  SessionRequestSchema,
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
  type HandoffOutcome,
  type TokenBatch,
  type WorkerHealth,
} from "@stator/core";
import { errorFromWire } from "../../codec/error-codec.ts";
import { handoffToWire, outcomes } from "../../codec/handoff-codec.ts";
import { encodeRequest } from "../../codec/request-codec.ts";
import { statusFromWire } from "../../codec/status-codec.ts";
import { RuntimeError } from "../../runtime-error.ts";
import { fetchBytes, fetchSnapshot } from "../bulk.ts";
import { decodeDetail } from "../worker/engine-host.ts";
import { createEventIntake } from "./event-intake.ts";
import { longestRequestBytes } from "../limits.ts";
import { createOutgoingStarts } from "./outgoing-starts.ts";
import { createRemoteStream } from "./remote-stream.ts";
import { createRunningRequests } from "./running-requests.ts";
import { closedError, cutError, failing, isOurSilence, notConnected, startLost } from "./session-errors.ts";
import type { SessionLink } from "../session-port.ts";
import { createTurn, endOfTurn } from "../turn.ts";

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
  /** A snapshot of the KV blocks could not be fetched; it is tried again. */
  readonly onSnapshotFailure?: () => void;
  /** Called once. `undefined`: we closed it. */
  readonly onEnd: (error: unknown) => void;
}

/** The caller's side of one session: one life of one connection to one life of one worker. */
export interface CallerSession {
  generate(request: GenerateRequest, signal: AbortSignal): AsyncIterable<TokenBatch>;
  renew(handoff: Handoff): void;
  release(handoff: Handoff, outcome: HandoffOutcome): void;
  /** Asks for a snapshot of the KV blocks; it comes as a status with one snapshot batch. */
  refreshEvents(): void;
  /** Gives up the running requests, there and here; the session goes on. */
  abandon(error: StatorError): void;
  /** Ends it; running requests fail with `error`. */
  close(error?: StatorError): void;
}

export function openSession(options: CallerSessionOptions): CallerSession {
  const { link, worker, clock, deadlines, health } = options;
  const turn = createTurn();
  const controller = new AbortController();
  const running = createRunningRequests(async (id) => {
    const value = create(DetailRefSchema, { session: options.session, id });
    return decodeDetail(await fetchBytes(link, worker, { case: "detail", value }, controller.signal));
  });
  const outgoing = createOutgoingStarts();
  let cancels: number[] = [];
  let renews: Handoff[] = [];
  let releases: { readonly handoff: Handoff; readonly outcome: HandoffOutcome }[] = [];
  let nextHandle = 1;
  let lastFrame = 0n;
  // Messages so far, and in which one each unanswered start was said whole.
  let said = 0n;
  const unanswered = new Map<number, bigint>();
  let isHeartbeatDue = false;
  let isWelcome = false;
  let lastStatus: EngineStatus = emptyStatus;
  let ended: { readonly error: unknown } | undefined;

  const intake = createEventIntake({
    ...options,
    signal: controller.signal,
    fetchSnapshot: () => fetchSnapshot(link, options, controller.signal),
    deliver: (events) => options.onStatus({ ...lastStatus, events }),
  });

  const end = (error: unknown): void => {
    if (ended !== undefined) return;
    ended = { error };
    timer.cancel();
    controller.abort();
    turn.open();
    running.failAll(error ?? closedError(worker));
    options.onEnd(error);
  };

  const tick = (): void => {
    isHeartbeatDue = true;
    turn.open();
    timer = clock.schedule(deadlines.heartbeatMs, tick);
  };
  let timer = clock.schedule(deadlines.heartbeatMs, tick);

  async function* requests(): AsyncGenerator<SessionRequest> {
    said += 1n;
    yield create(SessionRequestSchema, {
      hello: create(HelloSchema, {
        session: options.session,
        contract: { min: 1, max: contractVersion },
        worker,
        epoch: options.epoch,
      }),
      eventsFrom: create(EventsFromSchema, { epoch: options.epoch, sequence: intake.lastSequence }),
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
      releases: releases.map(({ handoff }) => handoffToWire(handoff)),
      releaseOutcomes: releases.map(({ outcome }) => outcomes.number(outcome)),
    });
    cancels = [];
    renews = [];
    releases = [];
    said += 1n;
    message.starts = outgoing.take((handle) => unanswered.set(handle, said));
    if (!outgoing.isEmpty) turn.open();
    if (isHeartbeatDue) {
      message.heartbeat = create(HeartbeatSchema, { lastFrame });
      isHeartbeatDue = false;
    }
    return message;
  };

  /** The worker need not go on with it: what it has not heard of yet is not even said. */
  const cancel = (handle: number): void => {
    if (!outgoing.remove(handle)) return;
    cancels.push(handle);
    turn.open();
  };

  /** A worker answers a start as soon as it has read it; one that does not has lost it. */
  const checkAnswers = (heard: bigint): void => {
    for (const [handle, saidIn] of unanswered) {
      if (saidIn > heard) return;
      unanswered.delete(handle);
      if (running.fail(handle, startLost(worker))) cancel(handle);
    }
  };

  const onFrame = (frame: StepFrame): void => {
    checkAnswers(frame.heard);
    running.read(frame);
    for (const { handle, error } of frame.failed) {
      unanswered.delete(handle);
      running.failBehind(handle, errorFromWire(error));
    }
    if (frame.snapshotDue) intake.refresh();
    const events = intake.add(frame.events);
    const { status: wire } = frame;
    if (wire === undefined) {
      health.observe({ type: "frame" });
      if (events.length > 0) options.onStatus({ ...lastStatus, events });
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
    lastStatus = status;
    options.onStatus(events.length === 0 ? status : { ...status, events });
  };

  const hear = async (message: SessionResponse): Promise<void> => {
    if (message.welcome !== undefined) {
      isWelcome = true;
      options.onWelcome(message.welcome);
    }
    for (const handle of message.accepted) unanswered.delete(handle);
    for (const { handle, error } of message.rejected) {
      unanswered.delete(handle);
      running.fail(handle, errorFromWire(error));
    }
    const { frame } = message;
    if (frame === undefined) return;
    lastFrame = frame.sequence;
    if (running.hasUnheard) await running.readFirst(frame);
    if (ended === undefined) onFrame(frame);
  };

  const listen = async (): Promise<void> => {
    try {
      for await (const message of link.session(requests(), controller.signal)) {
        if (ended !== undefined) return;
        await hear(message);
      }
      end(cutError(worker, undefined));
    } catch (error) {
      // A refusal says why, and so does a worker that did not hear us. Any other end is a cut, whatever the transport calls it: `Canceled` is its word for a killed peer.
      end(
        StatorError.isInstance(error) && (!isWelcome || isOurSilence(error))
          ? error
          : cutError(worker, error),
      );
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
        if (running.fail(handle, cancelled(signal))) cancel(handle);
      };
      const stream = createRemoteStream((hasLeft) => {
        signal.removeEventListener("abort", onAbort);
        if (hasLeft && running.forget(handle)) cancel(handle);
      });
      signal.addEventListener("abort", onAbort, { once: true });
      running.add(handle, stream);
      outgoing.add(handle, bytes);
      turn.open();
      return stream;
    },
    renew(handoff) {
      renews.push(handoff);
      turn.open();
    },
    release(handoff, outcome) {
      releases.push({ handoff, outcome });
      turn.open();
    },
    refreshEvents: () => intake.refresh(),
    abandon(error) {
      for (const handle of running.handles()) {
        if (running.fail(handle, error)) cancel(handle);
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
