import {
  cancelled,
  createDeadlines,
  systemClock,
  wrapEngine,
  type Clock,
  type Deadlines,
  type Engine,
  type GenerateOptions,
  type GenerateRequest,
  type TokenBatch,
} from "@stator/core";

import { routerError } from "../errors/router-error.ts";
import { createWaitingLine } from "../pool/waiting-line.ts";
import { withTail, type Prelude } from "../streams/tail.ts";

export interface AdmittingOptions {
  /** Requests that run at once. */
  readonly running: number;
  /** Prompt and possible output tokens of those that run at once. A larger request runs alone. Default: no limit. */
  readonly runningTokens?: number;
  /** Requests that wait; further ones are refused at once. Default: four times `running`. */
  readonly waiting?: number;
  /** `queueWaitMs` bounds the wait. */
  readonly deadlines?: Partial<Deadlines>;
  /** Default: the machine's. */
  readonly clock?: Clock;
}

export interface AdmittingEngine extends Engine {
  readonly counts: {
    readonly running: number;
    readonly runningTokens: number;
    readonly waiting: number;
    readonly refused: number;
  };
}

/**
 * A bound in front of a graph: so many requests and tokens at once, a short line by priority, and an honest refusal with
 * `retryAfterMs` beyond it. Nothing is remembered of an overload: the first free place serves the next request.
 *
 * @throws RouterError from `generate`: `ROUTER_OVERLOADED`
 * @example
 * const engine = admitting(migrating(pool), { running: 512 });
 */
export function admitting(inner: Engine, options: AdmittingOptions): AdmittingEngine {
  const clock = options.clock ?? systemClock;
  const deadlines = createDeadlines(options.deadlines);
  const limit = positive("running", options.running);
  const tokenLimit =
    options.runningTokens === undefined
      ? Number.POSITIVE_INFINITY
      : positive("runningTokens", options.runningTokens);
  const waitingLimit = options.waiting ?? 4 * limit;
  const line = createWaitingLine(clock);
  let running = 0;
  let runningTokens = 0;
  let refused = 0;
  /** Mean time that a place is held, in ms: what a refused caller should wait at least. */
  let heldMs = 1_000;

  const enter = (tokens: number): (() => void) | undefined => {
    if (running >= limit || (running > 0 && runningTokens + tokens > tokenLimit)) return undefined;
    running += 1;
    runningTokens += tokens;
    const sinceMs = clock.now();
    let isIn = true;
    return () => {
      if (!isIn) return;
      isIn = false;
      running -= 1;
      runningTokens -= tokens;
      heldMs += (clock.now() - sinceMs - heldMs) / 16;
      line.wake();
    };
  };

  const overloaded = (request: GenerateRequest, why: string): Error => {
    refused += 1;
    const retryAfterMs = Math.ceil(Math.max(1_000, (heldMs * (line.length + 1)) / limit));
    return routerError("ROUTER_OVERLOADED", `Request ${request.id} was not admitted: ${why}.`, {
      retryAfterMs,
      observation: "poolBusy",
    });
  };

  async function* begin(request: GenerateRequest, generateOptions: GenerateOptions): Prelude<TokenBatch> {
    const { signal, onEvent } = generateOptions;
    if (signal.aborted) throw cancelled(signal);
    const tokens = request.promptIds.length + request.limits.maxTokens;
    let leave = line.length === 0 ? enter(tokens) : undefined;
    if (leave === undefined) {
      if (line.length >= waitingLimit) throw overloaded(request, `${line.length} wait already`);
      onEvent?.({
        type: "queued",
        atMs: clock.now(),
        requestId: request.id,
        choice: request.choice,
        attempt: request.attempt,
        where: "admitting",
      });
      try {
        leave = await line.wait({
          priority: request.priority ?? 0,
          waitMs: deadlines.queueWaitMs,
          signal,
          attempt: () => enter(tokens),
          expired: () => overloaded(request, `no place came free within ${deadlines.queueWaitMs} ms`),
        });
      } catch (error) {
        if (signal.aborted) throw cancelled(signal);
        throw error;
      }
    }
    return held(inner.generate(request, generateOptions)[Symbol.asyncIterator](), leave);
  }

  const engine = wrapEngine(inner, {
    generate: (request, generateOptions) => withTail(() => begin(request, generateOptions)),
  });
  return Object.defineProperty(engine, "counts", {
    get: () => ({ running, runningTokens, waiting: line.length, refused }),
    enumerable: true,
  }) as AdmittingEngine;
}

/** The stream, giving its place back at its end. */
function held(stream: AsyncIterator<TokenBatch>, leave: () => void): AsyncIterator<TokenBatch> {
  return {
    next: () =>
      stream.next().then(
        (result) => {
          if (result.done === true || result.value.finish !== undefined) leave();
          return result;
        },
        (error: unknown) => {
          leave();
          throw error;
        },
      ),
    return() {
      leave();
      return stream.return?.() ?? Promise.resolve({ done: true, value: undefined });
    },
  };
}

function positive(option: string, value: number): number {
  if (Number.isInteger(value) && value > 0) return value;
  throw routerError("ROUTER_OPTION_INVALID", `${option} is ${value}; give a whole number above 0.`, {
    option,
  });
}
