import type { Histogram, RequestEvent, RequestObserver } from "@stator/core";
import type { ModelSeries } from "./model-series.ts";
import type { ServingFamilies } from "./serving-families.ts";
import type { SloSeries } from "./slo-series.ts";

/** What a server knows of a request before anything happens to it. */
export interface RequestInfo {
  readonly model: string;
  /** A route of the API, such as `chat_completions`; never a raw path. Default `generate`. */
  readonly endpoint?: string;
  /** Whether the client reads a stream. Default true. */
  readonly stream?: boolean;
  /** When it arrived, on the clock of its events; default the time of its first event. */
  readonly startMs?: number;
}

/** How a request ended, where its events cannot say. */
export interface RequestOutcome {
  readonly status: "success" | "error" | "cancelled" | "rejected";
  /** A code from a fixed set, never a message. */
  readonly errorType?: string;
  /** The client's fault: not an event of the availability objective. */
  readonly isClientError?: boolean;
}

/** Measures one request: give `onEvent` to the engine, and say when it is over. */
export interface RequestRecorder {
  readonly onEvent: RequestObserver;
  /** Ends it, with what its `finished` events said unless `outcome` says otherwise. Idempotent. */
  end(outcome?: RequestOutcome): void;
}

type Stage = "queued" | "prefill" | "transfer" | "decode";

interface ChoiceState {
  stage: Stage | undefined;
  stageSinceMs: number;
  firstAtMs: number | undefined;
  lastAtMs: number;
  isFirstChunkSeen: boolean;
  outputTokens: number;
  isFinished: boolean;
}

const codesOfClients = /INVALID|UNSUPPORTED|TOO_LARGE|TOO_LONG|NOT_FOUND|CONTEXT_LENGTH|UNAUTHORIZED/;
const codesOfLoad = /OVERLOADED|NO_WORKERS|CAPACITY|QUEUE_FULL/;

/** A recorder whose figures go to `families`. */
export function createRequestRecorder(
  families: ServingFamilies,
  model: ModelSeries,
  info: RequestInfo,
): RequestRecorder {
  const endpoint = info.endpoint ?? "generate";
  const stream = String(info.stream ?? true);
  const choices = new Map<number, ChoiceState>();
  let startMs = info.startMs;
  let lastMs = info.startMs ?? 0;
  let isEnded = false;
  let isInputCounted = false;
  let lastStage: Stage = "queued";
  let outcome: RequestOutcome = { status: "success" };
  model.active.add(1);

  function choiceOf(event: RequestEvent): ChoiceState {
    let state = choices.get(event.choice);
    if (state === undefined) {
      state = {
        stage: undefined,
        stageSinceMs: event.atMs,
        firstAtMs: undefined,
        lastAtMs: event.atMs,
        isFirstChunkSeen: false,
        outputTokens: 0,
        isFinished: false,
      };
      choices.set(event.choice, state);
    }
    return state;
  }

  function enter(state: ChoiceState, stage: Stage | undefined, atMs: number): void {
    if (state.stage === stage) return;
    if (state.stage !== undefined) {
      families.stage.labels({ stage: state.stage }).add(-1);
      families.stageTime.labels({ stage: state.stage }).observe((atMs - state.stageSinceMs) / 1000);
    }
    if (stage !== undefined) {
      families.stage.labels({ stage }).add(1);
      lastStage = stage;
    }
    state.stage = stage;
    state.stageSinceMs = atMs;
  }

  function firstToken(state: ChoiceState, atMs: number): void {
    if (state.firstAtMs !== undefined) return;
    state.firstAtMs = atMs;
    state.lastAtMs = atMs;
    enter(state, "decode", atMs);
    if (startMs !== undefined) judge(model.ttft, model.slo.ttft, (atMs - startMs) / 1000, 1);
  }

  function tokens(state: ChoiceState, atMs: number, count: number): void {
    if (count <= 0) return;
    state.outputTokens += count;
    model.outputTokens.add(count);
    firstToken(state, atMs);
    if (state.isFirstChunkSeen)
      judge(model.itl, model.slo.itl, (atMs - state.lastAtMs) / 1000 / count, count);
    state.isFirstChunkSeen = true;
    state.lastAtMs = atMs;
  }

  function countInput(promptTokens: number, cachedTokens: number): void {
    if (isInputCounted) return;
    isInputCounted = true;
    model.inputTokens.add(promptTokens);
    model.inputLength.observe(promptTokens);
    model.cached.observe(cachedTokens);
    if (promptTokens > 0) model.hitActual.observe(cachedTokens / promptTokens);
  }

  function end(how: RequestOutcome = outcome): void {
    if (isEnded) return;
    isEnded = true;
    model.active.add(-1);
    for (const state of choices.values()) enter(state, undefined, lastMs);
    const { status, errorType = "" } = how;
    if (status === "cancelled") families.cancellations.labels({ model: info.model, reason: lastStage }).add();
    if (status === "rejected") families.rejections.labels({ model: info.model, reason: errorType }).add();
    families.requests
      .labels({
        model: info.model,
        endpoint,
        stream,
        status,
        error_type: status === "success" ? "" : errorType,
      })
      .add();
    if (startMs !== undefined) judge(model.duration, model.slo.duration, (lastMs - startMs) / 1000, 1);
    // Clients who leave or err say nothing about the service.
    if (status !== "cancelled" && how.isClientError !== true)
      model.slo.availability?.record(status === "success", 1);
  }

  function finished(event: RequestEvent & { type: "finished" }, state: ChoiceState): void {
    if (state.isFinished) return;
    state.isFinished = true;
    countInput(event.promptTokens, event.cachedTokens);
    if (event.outputTokens > state.outputTokens)
      model.outputTokens.add(event.outputTokens - state.outputTokens);
    model.outputLength.observe(event.outputTokens);
    if (event.reason === "cancelled") {
      outcome = { status: "cancelled" };
    } else if (event.reason === "error" || event.reason === "abort") {
      const code = event.code ?? event.reason.toUpperCase();
      const status = codesOfLoad.test(code) ? "rejected" : "error";
      outcome = { status, errorType: code, isClientError: codesOfClients.test(code) };
    }
    enter(state, undefined, event.atMs);
  }

  function onEvent(event: RequestEvent): void {
    if (isEnded) return;
    startMs ??= event.atMs;
    lastMs = event.atMs;
    const state = choiceOf(event);
    switch (event.type) {
      case "queued":
        if (state.firstAtMs === undefined) enter(state, "queued", event.atMs);
        return;
      case "routed":
        families.decision.labels({ phase: event.phase }).observe(event.decisionMs / 1000);
        families.routed.labels({ worker: event.worker, phase: event.phase }).add();
        if (event.phase !== "decode" && event.promptTokens > 0)
          model.hitPredicted.observe(event.cachedTokens / event.promptTokens);
        if (state.firstAtMs === undefined)
          enter(state, event.phase === "decode" ? "decode" : "prefill", event.atMs);
        return;
      case "prefilled":
        if (state.firstAtMs === undefined) enter(state, "transfer", event.atMs);
        return;
      case "transferred":
        families.transfer.labels({}).observe(event.durationMs / 1000);
        families.transferredTokens.labels({}).add(event.heldTokens);
        if (state.firstAtMs === undefined) enter(state, "decode", event.atMs);
        return;
      case "firstToken":
        firstToken(state, event.atMs);
        return;
      case "tokens":
        tokens(state, event.atMs, event.count);
        return;
      case "migrated": {
        const kind = state.firstAtMs === undefined ? "new_request" : "ongoing_request";
        families.migrations
          .labels({ model: info.model, kind, outcome: event.outcome, cause: event.cause })
          .add();
        families.migrationGap.labels({ kind }).observe(event.gapMs / 1000);
        families.recomputed.labels({ model: info.model }).add(event.recomputedTokens);
        return;
      }
      case "finished":
        finished(event, state);
    }
  }

  return { onEvent, end };
}

function judge(histogram: Histogram, slo: SloSeries | undefined, seconds: number, times: number): void {
  histogram.observe(seconds, times);
  slo?.record(seconds <= slo.thresholdSeconds, times);
}
