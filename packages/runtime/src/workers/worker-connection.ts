import type { Registration, Welcome } from "@stator/contracts";
import {
  StatorError,
  type Clock,
  type Deadlines,
  type Engine,
  type EngineStatus,
  type HealthGroup,
  type Logger,
  type ModelCard,
  type Worker,
  type WorkerHandle,
} from "@stator/core";
import { cardFromWire } from "../codec/card-codec.ts";
import { workerFromWire } from "../codec/worker-codec.ts";
import { RuntimeError } from "../runtime-error.ts";
import { fetchBytes } from "../session/bulk.ts";
import { openSession, type CallerSession } from "../session/caller/caller-session.ts";
import { failing, isOurSilence, notConnected } from "../session/caller/session-errors.ts";
import type { SessionLink } from "../session/session-port.ts";
import type { WorkerMetrics } from "./worker-metrics.ts";

export interface WorkerConnectionOptions {
  /** Of a worker. */
  readonly record: Registration;
  readonly openLink: (address: string) => SessionLink;
  readonly health: HealthGroup;
  readonly clock: Clock;
  readonly deadlines: Deadlines;
  readonly logger: Logger;
  readonly metrics: WorkerMetrics;
  /** The worker said who it is; the handle stays the same from here on. */
  readonly onReady: (handle: WorkerHandle) => void;
}

/** The way to one life of one worker: a session that is opened again when it breaks, for as long as the record is there. */
export interface WorkerConnection {
  readonly epoch: string;
  readonly address: string;
  /** Undefined until the first welcome. */
  readonly handle: WorkerHandle | undefined;
  /** Its registration is gone; with a session that speaks nothing changes. */
  unregistered(): void;
  registered(): void;
  /** Whether its session speaks now. */
  readonly isOpen: boolean;
  /** This life is over, or we are. */
  close(): void;
}

/** Waits between two tries, in milliseconds: doubling from the first to the second, with full jitter. */
const firstRetryMs = 25;
const longestRetryMs = 1_000;

let sessions = 0;

export function connectWorker(options: WorkerConnectionOptions): WorkerConnection {
  const { record, clock, deadlines, logger } = options;
  const worker = record.id;
  const health = options.health.worker({ worker, epoch: record.epoch });
  const watch = options.metrics.watch(health);
  const listeners = new Set<(status: EngineStatus) => void>();
  let link: SessionLink | undefined;
  let session: CallerSession | undefined;
  let handle: WorkerHandle | undefined;
  let isOpen = false;
  let isClosed = false;
  let isRegistered = true;
  let failures = 0;
  /** The last session ended because we were silent: until the next one, what finds none is no fault of the worker. */
  let wasOurSilence = false;
  let lastSequence = 0n;
  let retry = { cancel: (): void => {} };

  const open = (): void => {
    if (isClosed) return;
    const opened = options.openLink(record.address);
    link = opened;
    const mine = openSession({
      link: opened,
      worker,
      epoch: record.epoch,
      session: `${process.pid}-${(sessions += 1)}-${Math.random().toString(36).slice(2)}`,
      eventsAfter: lastSequence,
      health,
      clock,
      deadlines,
      onWelcome,
      onStatus,
      onSnapshotFailure: watch.snapshotFailed,
      onEnd(error) {
        opened.close();
        if (session === mine) onEnd(error);
      },
    });
    session = mine;
    welcomeTimer = clock.schedule(deadlines.connectMs + deadlines.deadMs, () => {
      if (session === mine && !isOpen) mine.close(notConnected(worker));
    });
  };
  let welcomeTimer = { cancel: (): void => {} };

  const onWelcome = (welcome: Welcome): void => {
    welcomeTimer.cancel();
    if (isClosed || welcome.card === undefined || welcome.worker === undefined) return;
    isOpen = true;
    wasOurSilence = false;
    failures = 0;
    health.observe({ type: "connected" });
    if (handle !== undefined) return;
    // Present where the worker's engine tells KV events at all; what it asks for comes as a status.
    if (welcome.hasSnapshot)
      engine.snapshot = () => {
        if (lastSequence > 0n) session?.refreshEvents();
        return undefined;
      };
    handle = { worker: workerFromWire(welcome.worker), card: cardFromWire(welcome.card), health, engine };
    options.onReady(handle);
  };

  const onStatus = (status: EngineStatus): void => {
    watch.seen(status);
    for (const { sequence } of status.events ?? []) if (sequence > lastSequence) lastSequence = sequence;
    for (const listener of listeners) listener(status);
  };

  const onEnd = (error: unknown): void => {
    const wasOpen = isOpen;
    isOpen = false;
    welcomeTimer.cancel();
    session = undefined;
    link = undefined;
    if (isClosed) return;
    if (isMismatch(error)) {
      health.observe({ type: "contractMismatch" });
      logger.error("worker speaks another contract", { worker, error: String(error) });
      return;
    }
    if (wasOpen) {
      // Silence was told already, and one that was draining left in order.
      wasOurSilence = isOurSilence(error);
      if (wasOurSilence) health.observe({ type: "callerSilent" });
      else if (health.condition !== "silent" && health.condition !== "draining")
        health.observe({ type: "cut", cause: error });
      logger.warn("session broke", { worker, error: String(error) });
    } else if (failures === 0) {
      health.observe({ type: "neverStarted", cause: error });
    }
    health.observe({ type: "disconnected", isComingBack: true });
    failures += 1;
    const longest = Math.min(longestRetryMs, firstRetryMs * 2 ** Math.min(failures, 10));
    retry = clock.schedule(isRegistered ? longest * (0.5 + Math.random() / 2) : longestRetryMs, open);
  };

  // Running work leaves a worker that is given up; what that means for the request is told by the error.
  const unwatch = health.onChange((_state, condition) => {
    if (condition === "silent") {
      session?.close(
        givenUp(worker, "RUNTIME_WORKER_SILENT", "silent", `sent no frame for ${deadlines.deadMs} ms`),
      );
    } else if (condition === "stuck") {
      session?.abandon(
        givenUp(worker, "RUNTIME_WORKER_STUCK", "stuck", "sends frames but makes no progress"),
      );
    } else if (condition === "unfit") {
      session?.abandon(givenUp(worker, "RUNTIME_WORKER_UNFIT", "unfit", "cannot work without a restart"));
    }
  });

  const engine: Engine = {
    get card(): ModelCard | undefined {
      return handle?.card;
    },
    generate(request, { signal }) {
      return session === undefined || !isOpen
        ? failing(notConnected(worker, wasOurSilence ? "callerSilent" : "neverStarted"))
        : session.generate(request, signal);
    },
    onStatus(listener) {
      listeners.add(listener);
      // Whoever comes later than the first events needs all of them.
      if (lastSequence > 0n) session?.refreshEvents();
      return () => listeners.delete(listener);
    },
    artifact(digest, { signal }) {
      if (link === undefined) return Promise.reject(notConnected(worker));
      return fetchBytes(link, worker, { case: "artifact", value: digest }, signal);
    },
    renewHandoff: (handoff) => session?.renew(handoff),
    releaseHandoff: (handoff, outcome) => session?.release(handoff, outcome),
  };

  open();

  return {
    epoch: record.epoch,
    address: record.address,
    get handle() {
      return handle;
    },
    get isOpen() {
      return isOpen;
    },
    unregistered() {
      isRegistered = false;
      health.observe({ type: "left" });
    },
    registered() {
      isRegistered = true;
      health.observe({ type: "registered" });
    },
    close() {
      if (isClosed) return;
      isClosed = true;
      retry.cancel();
      welcomeTimer.cancel();
      unwatch();
      watch.stop();
      session?.close();
      link?.close();
      health.observe({ type: "disconnected" });
      health.observe({ type: "left" });
      options.health.remove(health);
    },
  };
}

function isMismatch(error: unknown): boolean {
  return StatorError.isInstance(error) && error.kind === "incompatible";
}

function givenUp(
  worker: string,
  code: "RUNTIME_WORKER_SILENT" | "RUNTIME_WORKER_STUCK" | "RUNTIME_WORKER_UNFIT",
  observation: string,
  what: string,
): RuntimeError {
  return new RuntimeError({
    code,
    kind: "unavailable",
    message: `Worker ${worker} ${what}.`,
    data: { worker, observation },
  });
}

/** For lists of workers. */
export function matches(
  worker: Worker,
  filter: { readonly model?: string; readonly role?: Worker["role"] },
): boolean {
  if (filter.model !== undefined && worker.model !== filter.model) return false;
  return filter.role === undefined || worker.role === filter.role || worker.role === "both";
}
