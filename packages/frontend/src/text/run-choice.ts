import { cancelled, StatorError, type Clock, type Engine, type GenerateRequest } from "@stator/core";
import { FrontendError } from "../errors.ts";
import type { ChoiceDecoder, DecodedBatch } from "./tokens/choice-decoder.ts";
import type { TextOptions } from "./text-request.ts";

/** One step of a choice: its text, and what is known of its cost. */
export interface ChoiceStep extends DecodedBatch {
  readonly cachedTokens: number | undefined;
}

/**
 * Runs one choice on an engine and decodes it. Ends after the step with `finish`; a stop string ends the engine's work
 * through the iterator's `return`. Tells `firstToken`, `tokens` and `finished` of this choice; the same events of
 * engines further down are dropped, so that an observer hears each once.
 *
 * @throws StatorError: what the engine threw; `FRONTEND_STREAM_TRUNCATED` when it ended without a finish or broke the order.
 */
export async function* runChoice(
  engine: Engine,
  request: GenerateRequest,
  decoder: ChoiceDecoder,
  options: TextOptions,
  clock: Clock,
): AsyncGenerator<ChoiceStep, void, undefined> {
  const { signal, onEvent } = options;
  let next = 0;
  let cachedTokens: number | undefined;
  let outcome: { reason: "stop" | "length" | "cancelled" | "error"; code?: string } = { reason: "cancelled" };
  try {
    const batches = engine.generate(request, {
      signal,
      ...(onEvent === undefined
        ? {}
        : {
            onEvent: (event) => {
              if (event.type !== "firstToken" && event.type !== "tokens" && event.type !== "finished")
                onEvent(event);
            },
          }),
    });
    for await (const batch of batches) {
      if (signal.aborted) throw cancelled(signal);
      if (batch.firstIndex !== next)
        throw truncated(`The engine sent output index ${batch.firstIndex} where ${next} was due.`);
      if (batch.finish?.reason === "abort") throw truncated("The engine gave this request up.");
      // A later attempt's cache is no saving of the client's: only the first is told.
      const told = cachedTokens === undefined ? batch.cachedTokens : undefined;
      cachedTokens ??= batch.cachedTokens;
      const decoded = decoder.decode(batch);
      if (onEvent !== undefined && decoded.tokenCount > 0) {
        if (next === 0)
          onEvent({
            atMs: clock.now(),
            requestId: request.id,
            choice: request.choice,
            attempt: 0,
            type: "firstToken",
          });
        onEvent({
          atMs: clock.now(),
          requestId: request.id,
          choice: request.choice,
          attempt: 0,
          type: "tokens",
          count: decoded.tokenCount,
        });
      }
      next += decoded.tokenCount;
      const { pieces, tokenCount, reasoningTokens, finish } = decoded;
      if (finish !== undefined) outcome = { reason: finish.reason === "length" ? "length" : "stop" };
      yield reasoningTokens === undefined
        ? { pieces, tokenCount, finish, cachedTokens: told }
        : { pieces, tokenCount, reasoningTokens, finish, cachedTokens: told };
      if (finish !== undefined) return;
    }
    if (signal.aborted) throw cancelled(signal);
    throw truncated("The engine's stream ended without a finish.");
  } catch (error) {
    const told = StatorError.from(error);
    outcome = signal.aborted ? { reason: "cancelled" } : { reason: "error", code: told.code };
    throw error;
  } finally {
    onEvent?.({
      atMs: clock.now(),
      requestId: request.id,
      choice: request.choice,
      attempt: 0,
      type: "finished",
      promptTokens: request.promptIds.length,
      outputTokens: next,
      cachedTokens: cachedTokens ?? 0,
      ...outcome,
    });
  }
}

function truncated(message: string): FrontendError {
  return new FrontendError({ code: "FRONTEND_STREAM_TRUNCATED", kind: "unavailable", message });
}
