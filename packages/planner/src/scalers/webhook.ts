import { linkAbort, systemClock, type Clock } from "@stator/core";
import type { Workers } from "../decision/types.ts";
import { PlannerError } from "../planner-error.ts";
import type { Scaler, ScalerState } from "./scaler.ts";

/** What is sent with `POST`. The answer may be `{ "acknowledged": id, "ready": Workers }`; else it is asked for with `GET`. */
export interface ScalingDecision {
  /** Grows by one with each decision. */
  readonly decision: number;
  readonly target: Workers;
}

export interface WebhookOptions {
  readonly url: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Longest wait for an answer. Default 5,000 ms. */
  readonly timeoutMs?: number;
  /** After this without acknowledgement a decision counts as lost and is sent again. Default 1,800,000 ms, as Dynamo's. */
  readonly acknowledgeMs?: number;
  readonly clock?: Clock;
  readonly fetch?: typeof globalThis.fetch;
}

interface Answer {
  readonly acknowledged?: number;
  readonly target?: Workers;
  readonly ready?: Workers;
}

/**
 * Somebody else's system scales. Each decision has an id; until the other side acknowledges the last one its workers
 * count as starting, so that nothing is scaled down meanwhile.
 */
export function webhook(options: WebhookOptions): Scaler {
  const {
    clock = systemClock,
    timeoutMs = 5000,
    acknowledgeMs = 1_800_000,
    fetch = globalThis.fetch,
  } = options;
  let decision = 0;
  let sentMs = 0;
  let target: Workers | undefined;

  const call = async (signal: AbortSignal, body?: ScalingDecision): Promise<Answer> => {
    const link = linkAbort(signal);
    const timer = clock.schedule(timeoutMs, () => link.abort(new Error(`no answer within ${timeoutMs} ms`)));
    try {
      const response = await fetch(options.url, {
        method: body === undefined ? "GET" : "POST",
        headers: { ...options.headers, "content-type": "application/json" },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        signal: link.signal,
      });
      if (!response.ok) throw new Error(`it answered ${response.status}`);
      const text = await response.text();
      return text === "" ? {} : (JSON.parse(text) as Answer);
    } catch (cause) {
      signal.throwIfAborted();
      throw new PlannerError({
        code: "PLANNER_SCALING_FAILED",
        kind: "unavailable",
        message: `The webhook ${options.url} could not be asked: ${String(cause)}.`,
        cause,
      });
    } finally {
      timer.cancel();
      link.unlink();
    }
  };

  return {
    async state(signal): Promise<ScalerState> {
      const answer = await call(signal);
      const ready = answer.ready ?? { prefill: 0, decode: 0 };
      if (target === undefined) return { target: answer.target ?? ready, ready };
      if (answer.acknowledged !== decision && clock.now() - sentMs > acknowledgeMs) {
        await call(signal, { decision: ++decision, target });
        sentMs = clock.now();
      }
      return { target, ready };
    },
    async scale(wanted, signal) {
      await call(signal, { decision: ++decision, target: wanted });
      target = wanted;
      sentMs = clock.now();
    },
  };
}
