import {
  cancelled,
  type Clock,
  type Deadlines,
  type GenerateOptions,
  type GenerateRequest,
  type Handoff,
  type Reservation,
  type TokenBatch,
} from "@stator/core";

import { routerError } from "../errors/router-error.ts";
import { isHandoffFailure } from "../pool/reservation.ts";
import type { ConnectorPlan } from "./connector-plan.ts";
import { isCallersFault, mustMigrate } from "./failures.ts";
import type { PrefillRun } from "./prefill-run.ts";

/** One request on its way from prefill to decode. */
export interface HandOver {
  readonly request: GenerateRequest;
  readonly options: GenerateOptions;
  readonly prefilling: Reservation;
  readonly decoding: Reservation;
  readonly plan: ConnectorPlan;
  readonly promptTokens: number;
}

export type FirstOfDecode =
  | { readonly type: "decoding"; readonly batch: TokenBatch; readonly rest: AsyncIterator<TokenBatch> }
  | { readonly type: "fallback"; readonly error: unknown };

export interface DecodeContext {
  readonly clock: Clock;
  readonly deadlines: Deadlines;
}

/** Starts decode and waits for its first token. `fallback`: the KV did not come and nothing was decoded yet. */
export async function firstOfDecode(
  context: DecodeContext,
  run: HandOver,
  request: GenerateRequest,
  handoff: Handoff | undefined,
  running: PrefillRun,
): Promise<FirstOfDecode> {
  const { clock, deadlines } = context;
  const { options: generateOptions, prefilling, decoding, plan } = run;
  const { signal, onEvent } = generateOptions;
  const rest = decoding.generate(request, generateOptions)[Symbol.asyncIterator]();
  let startedMs = clock.now();
  let givenUp: { readonly error: unknown } | undefined;
  let wake = (): void => {};
  const giveUp = (error: unknown): void => {
    givenUp ??= { error };
    wake();
  };
  const expire = (): void =>
    giveUp(
      routerError(
        "ROUTER_FIRST_TOKEN_DEADLINE",
        `Decode at ${decoding.worker} gave request ${request.id} no token from the KV of ${prefilling.worker}.`,
      ),
    );
  const firstTokenMs = deadlines.kvTransferBaseMs + 4 * decoding.costMs;
  let timer = plan.decodeStarts === "onHandoff" ? clock.schedule(firstTokenMs, expire) : undefined;
  let isSettled = false;
  if (plan.decodeStarts === "atOnce") {
    // Decode waits for prefill in its room: its own time begins when that is done.
    running.result.then(() => {
      startedMs = clock.now();
      if (!isSettled) timer = clock.schedule(firstTokenMs, expire);
    }, giveUp);
  }
  const renewal = handoff === undefined ? undefined : keepAlive(clock, handoff, prefilling);
  try {
    for (;;) {
      const next = rest.next();
      const result = await new Promise<IteratorResult<TokenBatch> | undefined>((resolve, reject) => {
        wake = () => resolve(undefined);
        if (givenUp !== undefined) wake();
        next.then(resolve, reject);
      });
      if (result === undefined) return { type: "fallback", error: givenUp?.error };
      if (result.done === true)
        throw routerError(
          "ROUTER_ATTEMPT_FAILED",
          `Decode at ${decoding.worker} ended without its final batch.`,
        );
      const batch = result.value;
      if (batch.ids.length === 0 && batch.finish === undefined) continue;
      onEvent?.({
        type: "transferred",
        atMs: clock.now(),
        requestId: request.id,
        choice: request.choice,
        attempt: request.attempt,
        from: prefilling.worker,
        to: decoding.worker,
        heldTokens: handoff?.heldTokens ?? 0,
        durationMs: clock.now() - startedMs,
      });
      isSettled = true;
      return { type: "decoding", batch, rest };
    }
  } catch (error) {
    if (signal.aborted) throw cancelled(signal);
    const cause = givenUp === undefined ? error : givenUp.error;
    if (isCallersFault(cause) || mustMigrate(request, cause)) throw cause;
    if (givenUp === undefined && !isHandoffFailure(error)) throw error;
    return { type: "fallback", error: cause };
  } finally {
    timer?.cancel();
    renewal?.cancel();
    if (!isSettled) {
      isSettled = true;
      void rest.return?.();
    }
  }
}

/** Renews the source's lease until cancelled, three times in its length. */
function keepAlive(clock: Clock, handoff: Handoff, prefilling: Reservation): { cancel(): void } | undefined {
  if (handoff.lease === undefined) return undefined;
  const everyMs = handoff.lease.durationMs / 3;
  const beat = (): void => {
    prefilling.renewHandoff(handoff);
    timer = clock.schedule(everyMs, beat);
  };
  let timer = clock.schedule(everyMs, beat);
  return { cancel: () => timer.cancel() };
}
