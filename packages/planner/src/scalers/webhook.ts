import { z } from "zod";
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

const workers = z.object({ prefill: z.number().int().min(0), decode: z.number().int().min(0) });
const answerSchema = z.object({
  acknowledged: z.number().int().min(0).optional(),
  target: workers.optional(),
  ready: workers.optional(),
});
type Answer = z.infer<typeof answerSchema>;

/** What to do about a refusal, by status. */
const advice: Readonly<Record<number, string>> = {
  401: "Give it credentials in the scaler's headers",
  403: "Give the planner's credentials the right to scale there",
  404: "Is the address right?",
  409: "It scales already, or knows of a newer decision: it is asked again with the next sample",
  410: "This address is no longer in use: give the new one",
  429: "It is asked again with the next sample: a longer intervalSeconds asks less often",
};

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
      const text = await response.text();
      if (!response.ok) throw refused(response, text);
      return text === "" ? {} : parseAnswer(text);
    } catch (cause) {
      signal.throwIfAborted();
      if (PlannerError.isInstance(cause)) throw cause;
      const why = cause instanceof Error && cause.cause instanceof Error ? cause.cause : cause;
      throw new PlannerError({
        code: "PLANNER_SCALING_FAILED",
        kind: "unavailable",
        message: `The webhook ${options.url} could not be asked: ${why instanceof Error ? why.message : String(why)}.`,
        cause,
      });
    } finally {
      timer.cancel();
      link.unlink();
    }
  };

  const refused = ({ status, statusText }: Response, text: string): PlannerError =>
    new PlannerError({
      code: "PLANNER_SCALING_FAILED",
      kind: status === 401 || status === 403 ? "unauthorized" : status === 404 ? "notFound" : "unavailable",
      message: [
        `The webhook ${options.url} refused with ${status} ${statusText}`.trimEnd(),
        text.trim() === "" ? "" : `: ${text.trim().slice(0, 200)}`,
        advice[status] === undefined ? "" : `. ${advice[status]}`,
      ].join(""),
      data: { status },
    });

  const parseAnswer = (text: string): Answer => {
    try {
      return answerSchema.parse(JSON.parse(text));
    } catch (cause) {
      throw new PlannerError({
        code: "PLANNER_SCALING_FAILED",
        kind: "unavailable",
        message: `The webhook ${options.url} answered ${text.slice(0, 200)}; expected nothing or {"acknowledged": id, "ready": {"prefill": n, "decode": n}}.`,
        cause,
      });
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
