// Longer than other files: the pool is one closure over its members, and each of its methods reads them.
import {
  cancelled,
  createDeadlines,
  extended,
  silentLogger,
  systemClock,
  type Clock,
  type Deadlines,
  type Engine,
  type EngineStatus,
  type Estimate,
  type GenerateOptions,
  type GenerateRequest,
  type Logger,
  type Meter,
  type Pool,
  type ReserveOptions,
  type Reservation,
  type TokenBatch,
  type WorkerHandle,
  type WorkerSource,
} from "@stator/core";

import { routerError } from "../errors/router-error.ts";
import { createRegistrationProbes } from "../probe/registration-probe.ts";
import { createSelector } from "../selector/create-selector.ts";
import type {
  Decision,
  Policy,
  ProbeRecord,
  SelectRequest,
  Selector,
  Target,
  TargetLoad,
} from "../selector/selector.ts";
import { withTail, type Prelude } from "../streams/tail.ts";
import { refusalOf } from "./eligibility.ts";
import { createPaceWatch } from "./pace-watch.ts";
import { createReservation } from "./reservation.ts";
import { createWaitingLine } from "./waiting-line.ts";
import { engineSource, type EngineSource } from "./worker-set.ts";

export interface PoolOptions {
  /** Workers that a runtime knows, or engines of this process. */
  readonly workers: WorkerSource | readonly Engine[];
  /** How to choose among those that may serve. Default `kvAware()`. */
  readonly policy?: Policy;
  /** Names this pool in events and errors, and the workers that plain engines become. Default "pool". */
  readonly name?: string;
  /** Requests that may wait for a worker; further ones are refused as overloaded. Default 1,024. */
  readonly queue?: number;
  /** `queueWaitMs` bounds the wait; the rest is for the health of plain engines. */
  readonly deadlines?: Partial<Deadlines>;
  /** Default: the machine's. */
  readonly clock?: Clock;
  /** The decision. Default: one of its own with `policy`. */
  readonly selector?: Selector;
  /** Default: silent. */
  readonly logger?: Logger;
  /** What the pool's own selector measures. Default: nothing. */
  readonly meter?: Meter;
  /**
   * Whether a worker that joined is sent a short prompt, to see that what is stored there comes back as KV events: `events`, or
   * `off`. No booking, metric or request event tells of it. Default `events`.
   */
  readonly probe?: "events" | "off";
  /** Hears what a probe came to, with every try. */
  readonly onProbe?: (target: Target, record: ProbeRecord) => void;
}

export const defaultPoolQueue: number = 1_024;

/** An engine over many workers. */
export interface ClosablePool extends Pool {
  /** What the pool holds now; all zero when nothing runs. */
  readonly counts: { readonly workers: number; readonly booked: number; readonly waiting: number };
  /** What its selector knows, one line per worker and rank: load, index, predictions, probe. */
  loads(): readonly TargetLoad[];
  /** Stops watching its workers; they themselves stay as they are. */
  close(): Promise<void>;
}

interface Member {
  readonly handle: WorkerHandle;
  booked: number;
  readonly stops: (() => void)[];
}

interface Prepared {
  readonly scope: string;
  readonly names: SelectRequest;
}

/**
 * Workers behind a policy. Each request is named once, placed where it costs least, booked there, and freed on every path.
 *
 * @throws RouterError from `reserve` and `generate`: `ROUTER_NO_WORKERS` when there is none that could serve,
 *   `ROUTER_OVERLOADED` when all are busy for too long or too many wait; both say `retryAfterMs`.
 * @example
 * const engine = createPool({ workers: [vllm({ url: a }), vllm({ url: b })], policy: kvAware() });
 */
export function createPool(options: PoolOptions): ClosablePool {
  const clock = options.clock ?? systemClock;
  const deadlines = createDeadlines(options.deadlines);
  const name = options.name ?? "pool";
  const logger = options.logger ?? silentLogger;
  const queue = options.queue ?? defaultPoolQueue;
  if (!Number.isInteger(queue) || queue < 0) {
    throw routerError("ROUTER_OPTION_INVALID", `queue is ${queue}; give a whole number of at least 0.`);
  }
  const selector =
    options.selector ??
    createSelector({
      clock,
      logger,
      ...(options.policy === undefined ? {} : { policy: options.policy }),
      ...(options.meter === undefined ? {} : { meter: options.meter }),
    });
  const isSource = "onChange" in options.workers;
  const owned: EngineSource | undefined = isSource
    ? undefined
    : engineSource(options.workers as readonly Engine[], { name, clock, deadlines });
  const source: WorkerSource = owned ?? (options.workers as WorkerSource);
  const members = new Map<string, Member>();
  const line = createWaitingLine(clock);
  const probes =
    options.probe === "off"
      ? undefined
      : createRegistrationProbes({
          selector,
          clock,
          ...(options.onProbe === undefined ? {} : { onRecord: options.onProbe }),
        });
  const pace = createPaceWatch({ clock });
  const prepared = new WeakMap<Uint32Array, Prepared>();
  let booked = 0;
  let longestContext = 0;
  let isClosed = false;

  const observeStatus = ({ worker, engine }: WorkerHandle, status: EngineStatus): void => {
    // Events of a plain engine carry its own idea of who it is; within this pool the handle names it.
    const events = status.events?.map((batch) => ({ ...batch, worker: worker.id, epoch: worker.epoch }));
    selector.observeStatus(worker.id, worker.epoch, status);
    const hasGap = events?.map((batch) => selector.observe(batch)).includes("gap");
    if (hasGap === true) observeSnapshot(worker.id, worker.epoch, engine);
    line.wake();
  };
  const observeSnapshot = (worker: string, epoch: string, engine: Engine): void => {
    const snapshot = engine.snapshot?.();
    if (snapshot !== undefined) selector.observe({ ...snapshot, worker, epoch });
  };
  const join = (handle: WorkerHandle): void => {
    const { worker, card, engine, health } = handle;
    if (members.get(worker.id)?.handle === handle) return;
    leave(members.get(worker.id)?.handle);
    try {
      selector.addWorker(worker, card);
    } catch (error) {
      // A refusal with a message, never zero overlap: such a worker would look healthy and never match.
      logger.error("worker refused", { pool: name, worker: worker.id, error: String(error) });
      return;
    }
    const stops = [health.onChange(() => line.wake())];
    const stop = engine.onStatus?.((status) => observeStatus(handle, status));
    if (stop !== undefined) stops.push(stop);
    members.set(worker.id, { handle, booked: 0, stops });
    longestContext = Math.max(longestContext, card.contextTokens);
    observeSnapshot(worker.id, worker.epoch, engine);
    if (probes !== undefined) stops.push(probes.start(handle));
    line.wake();
  };
  const leave = (handle: WorkerHandle | undefined): void => {
    const member = handle === undefined ? undefined : members.get(handle.worker.id);
    if (handle === undefined || member?.handle !== handle) return;
    for (const stop of member.stops) stop();
    members.delete(handle.worker.id);
    longestContext = Math.max(0, ...[...members.values()].map((one) => one.handle.card.contextTokens));
    pace.forget(handle.health);
    selector.removeWorker(handle.worker.id, handle.worker.epoch);
  };
  const unwatch = source.onChange(({ type, handle }) => (type === "joined" ? join(handle) : leave(handle)));
  for (const handle of source.current()) join(handle);

  const nameOnce = (request: GenerateRequest): SelectRequest => {
    if (request.outputIds.length > 0) {
      // A resumed request is placed by what it has to compute again: prompt and output.
      const promptIds = new Uint32Array(request.promptIds.length + request.outputIds.length);
      promptIds.set(request.promptIds);
      promptIds.set(request.outputIds, request.promptIds.length);
      return selector.prepare({ ...request, promptIds, outputIds: new Uint32Array(0) });
    }
    const scope = `${request.adapter ?? ""}\u0000${request.tenantSalt ?? ""}\u0000${selector.blockTokens ?? 0}`;
    const known = prepared.get(request.promptIds);
    if (known?.scope !== scope || request.media !== undefined) {
      const names = selector.prepare(request);
      prepared.set(request.promptIds, { scope, names });
      return names;
    }
    const { names, promptTokens } = known.names;
    return {
      id: request.id,
      names,
      promptTokens,
      avoid: request.avoid,
      ...(request.adapter === undefined ? {} : { adapter: request.adapter }),
      ...(request.hints === undefined ? {} : { hints: request.hints }),
      ...(request.priority === undefined ? {} : { priority: request.priority }),
      ...(request.hints?.expectedOutputTokens === undefined
        ? {}
        : { expectedOutputTokens: request.hints.expectedOutputTokens }),
    };
  };

  const place = (request: GenerateRequest, named: SelectRequest, isTold: boolean): Decision =>
    selector.select(
      extended(named, {
        exclude: (worker: string) => {
          const member = members.get(worker);
          return member === undefined
            ? "not in this pool"
            : refusalOf(member.handle, request, member.booked, longestContext)?.reason;
        },
      }),
      { explain: isTold },
    );

  const reserveNow = (
    request: GenerateRequest,
    named: SelectRequest,
    options: ReserveOptions,
  ): Reservation | undefined => {
    const { onEvent } = options;
    const startedMs = clock.now();
    const decision = place(request, named, onEvent !== undefined);
    const { chosen } = decision;
    const member = chosen === undefined ? undefined : members.get(chosen.worker);
    if (chosen === undefined || member === undefined) return undefined;
    const admission = member.handle.health.admit();
    if (admission === undefined) return undefined;
    const booking = selector.book(decision);
    member.booked += 1;
    booked += 1;
    const { worker, card } = member.handle;
    onEvent?.({
      type: "routed",
      atMs: clock.now(),
      requestId: request.id,
      choice: request.choice,
      attempt: request.attempt,
      phase: named.phase ?? "full",
      worker: worker.id,
      epoch: worker.epoch,
      weightsDigest: card.weightsDigest,
      rank: chosen.rank,
      cachedTokens: chosen.cachedTokens,
      promptTokens: named.promptTokens,
      costMs: chosen.costMs,
      policy: decision.policy,
      decisionMs: clock.now() - startedMs,
      candidates: decision.explanation?.candidates ?? [],
      reason: decision.reason,
    });
    return createReservation({
      handle: member.handle,
      booking,
      admission,
      clock,
      pace,
      onProbed: () => line.wake(),
      onRelease() {
        member.booked -= 1;
        booked -= 1;
        line.wake();
      },
    });
  };

  const mayBeServed = (request: GenerateRequest): boolean =>
    [...members.values()].some(({ handle, booked: there }) => {
      const refusal = refusalOf(handle, request, there, longestContext);
      return refusal === undefined || refusal.mayPass || refusal.mayReturn === true;
    });
  /** Why nobody takes it: whether waiting may help, and the reasons of all. */
  const refusalError = (request: GenerateRequest, waitedMs: number): Error => {
    const refusals = [...members.values()].map(({ handle, booked: there }) => ({
      worker: handle.worker.id,
      ...(refusalOf(handle, request, there, longestContext) ?? {
        reason: "the policy refused it",
        mayPass: true,
      }),
    }));
    const reasons = refusals.map(({ worker, reason }) => `${worker}: ${reason}`).join("; ");
    const waited = waitedMs === 0 ? "" : ` within ${Math.round(waitedMs)} ms`;
    if (refusals.some(({ mayPass }) => mayPass)) {
      return routerError(
        "ROUTER_OVERLOADED",
        `No worker of ${name} could take request ${request.id}${waited} (${reasons}).`,
        {
          retryAfterMs: 1_000,
          observation: "poolBusy",
        },
      );
    }
    return routerError(
      "ROUTER_NO_WORKERS",
      `${name} has no worker that can serve request ${request.id}${waited} (${reasons || "none has joined"}).`,
      { retryAfterMs: 1_000, observation: "poolBusy" },
    );
  };

  const reserve = async (request: GenerateRequest, reserveOptions: ReserveOptions): Promise<Reservation> => {
    const { signal, onEvent } = reserveOptions;
    if (signal.aborted) throw cancelled(signal);
    if (isClosed) throw routerError("ROUTER_CLOSED", `${name} is closed.`);
    const phase =
      reserveOptions.phase ??
      (request.mode === "prefill" ? "prefill" : request.handoff === undefined ? "full" : "decode");
    // Named anew at each try: the block size is not known before the first worker joins. The names themselves are kept.
    const attempt = (): Reservation | undefined =>
      reserveNow(request, extended(nameOnce(request), { ...computedBefore(request), phase }), reserveOptions);
    const now = line.length === 0 || request.attempt > 0 ? attempt() : undefined;
    if (now !== undefined) return now;
    const waitMs = reserveOptions.waitMs ?? deadlines.queueWaitMs;
    // Whoever lost its worker was let in before: it stands in front, and the line's bound is for those who come.
    const isMoving = request.attempt > 0;
    if ((line.length >= queue && !isMoving) || waitMs <= 0) throw refusalError(request, 0);
    onEvent?.({
      type: "queued",
      atMs: clock.now(),
      requestId: request.id,
      choice: request.choice,
      attempt: request.attempt,
      where: name,
    });
    try {
      const waiting = line.wait({
        priority: isMoving ? Number.POSITIVE_INFINITY : (request.priority ?? 0),
        waitMs,
        signal,
        attempt,
        // It ends by its own deadline: as long as a worker may come back, its output so far is not given up.
        expired: () =>
          isMoving && reserveOptions.waitMs === undefined && mayBeServed(request)
            ? undefined
            : refusalError(request, waitMs),
      });
      line.wake();
      return await waiting;
    } catch (error) {
      if (signal.aborted) throw cancelled(signal);
      throw error;
    }
  };

  async function* begin(request: GenerateRequest, generateOptions: GenerateOptions): Prelude<TokenBatch> {
    const reservation = await reserve(request, generateOptions);
    // From here on its stream frees it, on every path.
    return reservation.generate(request, generateOptions)[Symbol.asyncIterator]();
  }
  const generate = (request: GenerateRequest, generateOptions: GenerateOptions): AsyncIterable<TokenBatch> =>
    withTail(() => begin(request, generateOptions));

  /** One that speaks for all: with the longest context, which decides how long an answer may be, and ready if any is. */
  const anyHandle = (): WorkerHandle | undefined => {
    let first: WorkerHandle | undefined;
    for (const { handle } of members.values()) {
      if (handle.card.contextTokens < longestContext) continue;
      if (handle.health.state === "ready") return handle;
      first ??= handle;
    }
    return first;
  };

  return {
    get card() {
      return anyHandle()?.card;
    },
    get counts() {
      return { workers: members.size, booked, waiting: line.length };
    },
    loads: () => selector.loads(),
    reserve,
    generate,
    estimate(request): Estimate | undefined {
      return selector.estimate({
        ...nameOnce(request),
        ...computedBefore(request),
        exclude: (worker) => {
          const member = members.get(worker);
          return member === undefined
            ? "not in this pool"
            : refusalOf(member.handle, request, 0, longestContext)?.reason;
        },
      });
    },
    async artifact(digest, { signal }) {
      let failure: unknown;
      for (const { handle } of members.values()) {
        if (handle.card.tokenizer.digest !== digest || handle.engine.artifact === undefined) continue;
        try {
          return await handle.engine.artifact(digest, { signal });
        } catch (error) {
          if (signal.aborted) throw error;
          failure = error;
        }
      }
      throw routerError(
        "ROUTER_NO_WORKERS",
        `No worker of ${name} has artefact ${digest}.`,
        undefined,
        failure,
      );
    },
    renewHandoff(handoff) {
      const member = handoff.source === undefined ? undefined : members.get(handoff.source.worker);
      member?.handle.engine.renewHandoff?.(handoff);
    },
    releaseHandoff(handoff, outcome) {
      const member = handoff.source === undefined ? undefined : members.get(handoff.source.worker);
      member?.handle.engine.releaseHandoff?.(handoff, outcome);
    },
    close() {
      isClosed = true;
      unwatch();
      for (const { handle } of [...members.values()]) leave(handle);
      line.close(routerError("ROUTER_CLOSED", `${name} was closed.`));
      owned?.close();
      return Promise.resolve();
    },
  };
}

/** Of a request that moves, its prompt: what it generated ended with the worker that held it. */
function computedBefore({ attempt, promptIds }: GenerateRequest): Pick<SelectRequest, "computedTokens"> {
  return attempt === 0 ? {} : { computedTokens: promptIds.length };
}
