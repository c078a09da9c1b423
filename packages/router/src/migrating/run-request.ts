// Longer than other files: one request is one closure over its state, so that a token passes without a generator per layer.
import {
  cancelled,
  classifyFailure,
  observationRules,
  sleep,
  StatorError,
  type Clock,
  type Deadlines,
  type Engine,
  type GenerateOptions,
  type GenerateRequest,
  type MigrationCause,
  type ObservationRule,
  type TokenBatch,
} from "@stator/core";

import { routerError } from "../errors/router-error.ts";
import { alsoDied, lifeOf, startAttempt, type Attempt } from "./attempt.ts";
import type { Counting } from "./counts.ts";
import { createJournal, type Journal } from "./journal.ts";
import type { Quarantine } from "./quarantine.ts";
import { refusalToMove } from "./refusal-to-move.ts";
import { finishLocally } from "./resume-rules.ts";
import type { RetryBudget } from "./retry-budget.ts";

/** What the requests of one migrating engine share. */
export interface Fleet {
  readonly inner: Engine;
  readonly clock: Clock;
  readonly random: () => number;
  readonly deadlines: Deadlines;
  readonly attempts: number;
  readonly maxTrackedTokens: number;
  readonly budget: RetryBudget;
  readonly quarantine: Quarantine;
  readonly counts: Counting;
  readonly onDropped: () => void;
}

/** A move that has not spoken yet. */
interface Move {
  readonly from: string;
  readonly cause: MigrationCause;
  readonly outcome: "resumed" | "restarted";
  readonly tokens: number;
}

type Outcome = "resumed" | "restarted" | "finishedLocally" | "failed";

/** One request over all of its attempts, without a generator: this is on the way of every token. */
export function runRequest(
  fleet: Fleet,
  request: GenerateRequest,
  { signal, onEvent }: GenerateOptions,
): AsyncIterator<TokenBatch> {
  const { inner, clock, random, deadlines, budget, counts } = fleet;
  const journal = createJournal(request);
  const suspect = fleet.quarantine.suspect(request);
  const whole = new AbortController();
  const timer = clock.schedule(deadlines.requestMs, () => stop(tooLong(request, deadlines)));
  const leaveBudget = budget.enter();
  const isMigratable = counts.trackedTokens + journal.tokens <= fleet.maxTrackedTokens;
  let tracked = 0;
  let lastTokenMs = clock.now();
  let move: Move | undefined;
  let endRetry: (() => void) | undefined;
  let counted = 1;
  let free = 0;
  let run: Attempt | undefined;
  let isOver = false;
  let resolve: ((result: IteratorResult<TokenBatch>) => void) | undefined;
  let reject: ((error: unknown) => void) | undefined;

  const track = (): void => {
    counts.trackedTokens += journal.tokens - tracked;
    tracked = journal.tokens;
  };
  const tell = (
    of: { readonly from: string; readonly cause: MigrationCause },
    outcome: Outcome,
    recomputedTokens: number,
  ): void => {
    counts[outcome] += 1;
    counts.recomputedTokens += recomputedTokens;
    onEvent?.({
      type: "migrated",
      atMs: clock.now(),
      requestId: request.id,
      choice: request.choice,
      attempt: journal.attempt,
      from: of.from,
      cause: of.cause,
      outcome,
      gapMs: clock.now() - lastTokenMs,
      recomputedTokens,
    });
  };
  const settle = (): void => {
    isOver = true;
    timer.cancel();
    signal.removeEventListener("abort", onAbort);
    endRetry?.();
    // An attempt ends itself; between two of them the waits of `goOn` hear it.
    if (run === undefined) whole.abort(routerError("ROUTER_CLOSED", `Request ${request.id} is over.`));
    else run.close();
    suspect.gone();
    leaveBudget();
    counts.active -= 1;
    counts.trackedTokens -= tracked;
  };
  const answer = (result: IteratorResult<TokenBatch>): void => {
    const to = resolve;
    resolve = reject = undefined;
    to?.(result);
  };
  let failure: { readonly error: unknown } | undefined;
  const stop = (error: unknown): void => {
    if (isOver) return;
    if (move !== undefined && !signal.aborted) tell(move, "failed", 0);
    settle();
    const to = reject;
    resolve = reject = undefined;
    if (to === undefined) failure = { error };
    else to(error);
  };
  const onAbort = (): void => stop(cancelled(signal));

  const pull = (): void => void run!.iterator.next().then(onResult, onError);
  const onResult = (result: IteratorResult<TokenBatch>): void => {
    const current = run;
    if (isOver || current === undefined) return;
    if (result.done === true) {
      onError(undefined);
      return;
    }
    const batch = result.value;
    if (journal.take(current.attempt, batch) !== "accepted") {
      onWrongIndex(current);
      return;
    }
    if (batch.ids.length > 0) {
      track();
      if (move !== undefined) {
        const cachedTokens = batch.cachedTokens ?? current.routed.cachedTokens;
        tell(move, move.outcome, Math.max(0, move.tokens - cachedTokens));
        move = undefined;
        endRetry?.();
        suspect.cleared();
      }
      lastTokenMs = clock.now();
    }
    if (batch.finish !== undefined) {
      current.isFinished = true;
      settle();
    }
    answer(
      batch.cachedTokens === undefined
        ? (result as IteratorYieldResult<TokenBatch>)
        : { done: false, value: billed(journal, batch) },
    );
  };
  /** Dropped and counted; the third time its stream is cut. */
  const onWrongIndex = (current: Attempt): void => {
    counts.droppedBatches += 1;
    fleet.onDropped();
    if (journal.faults < 3) {
      pull();
      return;
    }
    const error = routerError(
      "ROUTER_PROTOCOL_FAULT",
      `The stream of request ${request.id} had three wrong indexes.`,
      { observation: "protocolFault" },
    );
    current.abort(error);
    onError(error);
  };
  const onError = (error: unknown): void => {
    if (isOver) return;
    goOn(error).then(
      (last) => {
        if (isOver) return;
        if (last === undefined) {
          begin();
          pull();
          return;
        }
        settle();
        answer({ done: false, value: last });
      },
      (final: unknown) => stop(signal.aborted ? cancelled(signal) : final),
    );
  };
  const begin = (): void => {
    run = startAttempt(inner, request, journal, suspect, whole.signal, onEvent);
  };

  /** After a failed attempt: resolves when the next one may begin, or with a last batch made here. */
  const goOn = async (thrown: unknown): Promise<TokenBatch | undefined> => {
    const failed = run!;
    run = undefined;
    endRetry?.();
    // Before the attempt is closed by its own signal, which says nothing of the worker.
    const outcome = classifyFailure(thrown, failed.signal);
    failed.close();
    const rule = observationRules[outcome];
    const error = thrown === undefined ? undefined : StatorError.from(thrown);
    if (rule.cause === undefined || rule.migrate === "no") throw error ?? truncated(request);
    const life = lifeOf(error) ?? failed.routed.life;
    const dead = [...(life === undefined ? [] : [life]), ...alsoDied(error)];
    if (move !== undefined) tell(move, "failed", 0);
    move = undefined;
    const last = { from: life?.worker ?? "unknown", cause: rule.cause };

    // Our own silence says nothing of the worker: the same life may go on with it, under another attempt number.
    if (rule.migrate !== "anywhere") for (const one of dead) journal.shun(one);
    if (isDeath(rule) && dead.map((one) => suspect.died(one, journal.next)).includes(true)) {
      tell(last, "failed", 0);
      counts.quarantined += 1;
      throw quarantined(request, fleet.attempts, deadlines.quarantineMs);
    }
    suspect.cleared();

    const finish = finishLocally(request, journal.next, journal.lastId, inner.card);
    if (finish !== undefined && journal.next > request.outputIds.length) {
      tell(last, "finishedLocally", 0);
      return { firstIndex: journal.next, ids: [], finish };
    }
    const isLast = counted >= fleet.attempts;
    // Whoever killed the worker may be found out a moment after this request heard of the death.
    if (isLast && isDeath(rule)) await sleep(clock, deadlines.retryBackoffMs, whole.signal);
    const isVictim = isLast && isDeath(rule) && dead.some(fleet.quarantine.hasPoisoned);
    const { next } = journal;
    const { card } = inner;
    const refusal = refusalToMove(
      {
        request,
        next,
        card,
        isMigratable,
        counted: isVictim ? counted - 1 : counted,
        free,
        attempts: fleet.attempts,
      },
      error,
    );
    if (refusal !== undefined) {
      tell(last, "failed", 0);
      throw refusal;
    }
    if (
      isVictim ||
      rule.migrate === "free" ||
      rule.migrate === "anywhere" ||
      rule.migrate === "oncePerWorker"
    )
      free += 1;
    else counted += 1;

    move = { ...last, outcome: next > 0 ? "resumed" : "restarted", tokens: journal.tokens };
    journal.nextAttempt(failed.routed.weightsDigest);
    // Full jitter: workers' deaths release many requests in one moment.
    const longestMs = deadlines.retryBackoffMs * 2 ** Math.min(counted + free - 2, 6);
    await sleep(clock, random() * longestMs, whole.signal);
    endRetry = await budget.acquire(whole.signal);
    return undefined;
  };

  if (!isMigratable) counts.notMigratable += 1;
  counts.active += 1;
  track();
  signal.addEventListener("abort", onAbort, { once: true });

  return {
    next() {
      return new Promise((onValue, onFailure) => {
        if (failure !== undefined) {
          onFailure(failure.error as Error);
          failure = undefined;
        } else if (isOver) {
          onValue({ done: true, value: undefined });
        } else {
          resolve = onValue;
          reject = onFailure;
          if (run === undefined) begin();
          pull();
        }
      });
    },
    return() {
      if (!isOver) settle();
      answer({ done: true, value: undefined });
      return Promise.resolve({ done: true, value: undefined });
    },
  };
}

/** Why a request whose prompt ended workers is not run. */
export function quarantined(request: GenerateRequest, workers: number, leftMs: number): StatorError {
  return routerError(
    "ROUTER_REQUEST_QUARANTINED",
    `Request ${request.id} is not run: its prompt ended ${workers} workers. It stays blocked for ${Math.ceil(leftMs / 1_000)} s.`,
    { retryAfterMs: leftMs },
  );
}

function isDeath({ class: kind }: ObservationRule): boolean {
  return kind === "crashed" || kind === "dead" || kind === "stuck" || kind === "unfit";
}

/** Cached tokens are told once, by the first attempt that reports them: recomputation is not the client's bill. */
function billed(journal: Journal, batch: TokenBatch): TokenBatch {
  if (batch.cachedTokens === undefined || journal.billsCached(batch)) return batch;
  const { cachedTokens: _recomputed, ...rest } = batch;
  return rest;
}

function truncated(request: GenerateRequest): StatorError {
  return routerError(
    "ROUTER_ATTEMPT_FAILED",
    `The stream of request ${request.id} ended without its final batch.`,
  );
}

function tooLong(request: GenerateRequest, { requestMs }: Deadlines): StatorError {
  return routerError("ROUTER_REQUEST_DEADLINE", `Request ${request.id} took longer than ${requestMs} ms.`, {
    observation: "deadline",
  });
}
