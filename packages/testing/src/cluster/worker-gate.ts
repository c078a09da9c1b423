import {
  wrapEngine,
  type Engine,
  type GenerateOptions,
  type GenerateRequest,
  type TokenBatch,
} from "@stator/core";

/** Watches what a worker yields and does something at an exact point of it. */
export interface WorkerGate {
  readonly engine: Engine;
  /** Requests that reached this worker, and output tokens that it has yielded. */
  readonly counts: { readonly requests: number; readonly tokens: number };
  /** Calls `act` once, after `afterTokens` more output tokens have left; 0 is before the next batch leaves. */
  at(afterTokens: number, act: () => void): void;
  /** Calls `act` once, when the next request arrives. */
  atRequest(act: () => void): void;
}

/** Wraps a worker's engine. A batch that crosses the point is cut there: later ids leave after `act`, if they still can. */
export function createWorkerGate(inner: Engine): WorkerGate {
  const counts = { requests: 0, tokens: 0 };
  let due: { readonly tokens: number; readonly act: () => void } | undefined;
  let onRequest: (() => void) | undefined;

  const fire = (): void => {
    const act = due?.act;
    due = undefined;
    act?.();
  };

  async function* generate(request: GenerateRequest, options: GenerateOptions): AsyncGenerator<TokenBatch> {
    counts.requests += 1;
    const act = onRequest;
    onRequest = undefined;
    act?.();
    for await (const batch of inner.generate(request, options)) {
      const left = due === undefined ? Number.POSITIVE_INFINITY : due.tokens - counts.tokens;
      if (left > batch.ids.length) {
        counts.tokens += batch.ids.length;
        yield batch;
        continue;
      }
      if (left > 0) {
        counts.tokens += left;
        const { finish: _later, handoff: _too, ...first } = batch;
        yield {
          ...first,
          ids: batch.ids.slice(0, left),
          ...(batch.logprobs === undefined ? {} : { logprobs: batch.logprobs.slice(0, left) }),
        };
      }
      // What left in this turn of the loop still arrives; what comes after the act may not.
      await new Promise<void>((resolve) => setImmediate(resolve));
      fire();
      await new Promise<void>((resolve) => setImmediate(resolve));
      counts.tokens += batch.ids.length - left;
      yield {
        ...batch,
        firstIndex: batch.firstIndex + left,
        ids: batch.ids.slice(left),
        ...(batch.logprobs === undefined ? {} : { logprobs: batch.logprobs.slice(left) }),
      };
    }
  }

  return {
    engine: wrapEngine(inner, { generate }),
    counts,
    at(afterTokens, act) {
      due = { tokens: counts.tokens + afterTokens, act };
    },
    atRequest(act) {
      onRequest = act;
    },
  };
}
