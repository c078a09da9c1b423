import {
  cancelled,
  type Clock,
  type GenerateRequest,
  type Handoff,
  type ModelCard,
  type Timer,
  type TokenBatch,
} from "@stator/core";
import { EnginesError } from "../errors/engines-error.ts";
import { endWithoutServer, failedHandoff, unmet } from "./request-rules.ts";

/** What one request needs of its engine. */
export interface RequestHost {
  readonly url: string;
  readonly clock: Clock;
  readonly silentMs: number;
  /** Resolves once the server is known. */
  ready(): Promise<ModelCard>;
  readonly vocabulary: number | undefined;
  open(request: GenerateRequest, signal: AbortSignal): AsyncIterator<TokenBatch>;
  /** It went to the server. */
  onStart(): void;
  /** Its first ids came. */
  onSpeaking(): void;
  /** A batch came, which is its last when `isFinished`. */
  onBatch(isFinished: boolean): void;
  /** Its KV is on offer. */
  onOffer(handoff: Handoff): void;
  /** It is over, after `onStart`. */
  onOver(hasSpoken: boolean): void;
}

/** Why a request's own signal is aborted at its end; one for all, because a reason made anew costs its stack. */
const over = new Error("The request is over.");

/** One request at a server, without a generator: this is on the way of every token. */
export function runRequest(
  host: RequestHost,
  asked: GenerateRequest,
  signal: AbortSignal,
): AsyncIterator<TokenBatch> {
  const { url, clock, silentMs } = host;
  const stop = new AbortController();
  let request = asked;
  let card: ModelCard | undefined;
  let batches: AsyncIterator<TokenBatch> | undefined;
  let silence: Timer | undefined;
  let lastMs = 0;
  let isSilent = false;
  let isFinished = false;
  let isSpeaking = false;
  let isOver = false;

  const onAbort = (): void => stop.abort(signal.reason);
  const listen = (forMs: number): void => {
    silence = clock.schedule(forMs, () => {
      const leftMs = silentMs - (clock.now() - lastMs);
      if (leftMs > 0) return listen(leftMs);
      isSilent = true;
      stop.abort();
    });
  };
  const settle = (): void => {
    if (isOver) return;
    isOver = true;
    silence?.cancel();
    signal.removeEventListener("abort", onAbort);
    stop.abort(over);
    if (silence !== undefined) host.onOver(isSpeaking);
  };
  const leave = (): void => void batches?.return?.().catch(() => {});
  const open = async (): Promise<IteratorResult<TokenBatch>> => {
    if (signal.aborted) throw cancelled(signal);
    card = await host.ready();
    if (isOver) return { done: true, value: undefined };
    const admitted = endWithoutServer(asked, url, card, host.vocabulary);
    if (admitted.end !== undefined) {
      settle();
      return { done: false, value: admitted.end };
    }
    if (signal.aborted) throw cancelled(signal);
    request = admitted.request;
    signal.addEventListener("abort", onAbort, { once: true });
    lastMs = clock.now();
    listen(silentMs);
    host.onStart();
    try {
      batches = host.open(request, stop.signal);
    } catch (error) {
      return onError(error);
    }
    return batches.next().then(onResult, onError);
  };
  const onError = (error: unknown): never => {
    settle();
    if (signal.aborted) throw cancelled(signal);
    if (isSilent && !isSpeaking && request.handoff !== undefined && request.mode !== "prefill")
      throw unmet(request, url, silentMs);
    if (isSilent) throw broken(url, `it said nothing for ${silentMs} ms`);
    throw isSpeaking ? error : failedHandoff(request, error);
  };
  const onResult = (result: IteratorResult<TokenBatch>): IteratorResult<TokenBatch> => {
    if (result.done === true) {
      if (!isFinished && !isOver) return onError(broken(url, "its stream ended without a finish reason"));
      settle();
      return result;
    }
    const batch = result.value;
    lastMs = clock.now();
    if (!isSpeaking && batch.ids.length > 0) {
      isSpeaking = true;
      host.onSpeaking();
    }
    isFinished ||= batch.finish !== undefined || (request.mode === "prefill" && batch.handoff !== undefined);
    if (isFinished) {
      leave();
      settle();
    }
    const told = batch.handoff === undefined ? batch : offered(batch, batch.handoff);
    host.onBatch(isFinished);
    return told === batch ? result : { done: false, value: told };
  };
  const offered = (batch: TokenBatch, from: Handoff): TokenBatch => {
    const handoff: Handoff = { ...from, compatibilityDigest: card!.kvLayoutDigest };
    const rank = request.hints?.pin?.rank;
    host.onOffer(
      handoff.source === undefined && rank !== undefined
        ? { ...handoff, source: { worker: "", epoch: "", rank } }
        : handoff,
    );
    return { ...batch, handoff };
  };

  return {
    next() {
      if (isOver) return Promise.resolve({ done: true, value: undefined });
      return batches === undefined ? open() : batches.next().then(onResult, onError);
    },
    return() {
      settle();
      leave();
      return Promise.resolve({ done: true, value: undefined });
    },
  };
}

function broken(url: string, what: string): EnginesError {
  return new EnginesError({
    code: "ENGINES_SERVER_FAILED",
    kind: "unavailable",
    message: `${url} failed: ${what}.`,
    data: { server: url, observation: "cut" },
  });
}
