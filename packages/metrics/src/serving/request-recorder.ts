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

/** Where one choice is. */
class Choice {
  stage: Stage | undefined = undefined;
  stageSinceMs: number;
  firstAtMs: number | undefined = undefined;
  lastAtMs: number;
  isFirstChunkSeen = false;
  outputTokens = 0;
  isFinished = false;

  constructor(atMs: number) {
    this.stageSinceMs = atMs;
    this.lastAtMs = atMs;
  }
}

const codesOfClients = /INVALID|UNSUPPORTED|TOO_LARGE|TOO_LONG|NOT_FOUND|CONTEXT_LENGTH|UNAUTHORIZED/;
const codesOfLoad = /OVERLOADED|NO_WORKERS|CAPACITY|QUEUE_FULL/;

/** A recorder whose figures go to `families`. */
export function createRequestRecorder(
  families: ServingFamilies,
  model: ModelSeries,
  info: RequestInfo,
): RequestRecorder {
  return new Recorder(families, model, info);
}

/** A class and not a closure: times are fields, which hold their number, where a variable would box each. */
class Recorder implements RequestRecorder {
  readonly onEvent: RequestObserver = (event) => this.#hear(event);
  readonly #families: ServingFamilies;
  readonly #model: ModelSeries;
  readonly #info: RequestInfo;
  /** The first choice that is told of; most requests have one. */
  #first: Choice | undefined;
  #firstIndex = 0;
  #others: Map<number, Choice> | undefined;
  #hasStart: boolean;
  #startMs: number;
  #lastMs: number;
  #isEnded = false;
  #isInputCounted = false;
  #lastStage: Stage = "queued";
  #outcome: RequestOutcome = { status: "success" };

  constructor(families: ServingFamilies, model: ModelSeries, info: RequestInfo) {
    this.#families = families;
    this.#model = model;
    this.#info = info;
    this.#hasStart = info.startMs !== undefined;
    this.#startMs = info.startMs ?? 0;
    this.#lastMs = info.startMs ?? 0;
    model.active.add(1);
  }

  end(how: RequestOutcome = this.#outcome): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    const model = this.#model;
    const families = this.#families;
    const info = this.#info;
    model.active.add(-1);
    if (this.#first !== undefined) this.#enter(this.#first, undefined, this.#lastMs);
    if (this.#others !== undefined)
      for (const choice of this.#others.values()) this.#enter(choice, undefined, this.#lastMs);
    const { status, errorType = "" } = how;
    if (status === "cancelled")
      families.cancellations.labels({ model: info.model, reason: this.#lastStage }).add();
    if (status === "rejected") families.rejections.labels({ model: info.model, reason: errorType }).add();
    families.requests
      .labels({
        model: info.model,
        endpoint: info.endpoint ?? "generate",
        stream: info.stream === false ? "false" : "true",
        status,
        error_type: status === "success" ? "" : errorType,
      })
      .add();
    if (this.#hasStart) judge(model.duration, model.slo.duration, (this.#lastMs - this.#startMs) / 1000, 1);
    // Clients who leave or err say nothing about the service.
    if (status !== "cancelled" && how.isClientError !== true)
      model.slo.availability?.record(status === "success", 1);
  }

  #hear(event: RequestEvent): void {
    if (this.#isEnded) return;
    const { atMs } = event;
    if (!this.#hasStart) {
      this.#hasStart = true;
      this.#startMs = atMs;
    }
    this.#lastMs = atMs;
    const choice = this.#choiceOf(event.choice, atMs);
    // By far the most frequent.
    if (event.type === "tokens") this.#tokens(choice, atMs, event.count);
    else this.#step(choice, event);
  }

  #choiceOf(index: number, atMs: number): Choice {
    if (this.#first === undefined) {
      this.#firstIndex = index;
      return (this.#first = new Choice(atMs));
    }
    if (index === this.#firstIndex) return this.#first;
    this.#others ??= new Map();
    let choice = this.#others.get(index);
    if (choice === undefined) {
      choice = new Choice(atMs);
      this.#others.set(index, choice);
    }
    return choice;
  }

  #tokens(choice: Choice, atMs: number, count: number): void {
    if (count <= 0) return;
    const model = this.#model;
    choice.outputTokens += count;
    model.outputTokens.add(count);
    if (choice.firstAtMs === undefined) this.#firstToken(choice, atMs);
    if (choice.isFirstChunkSeen)
      judge(model.itl, model.slo.itl, (atMs - choice.lastAtMs) / 1000 / count, count);
    choice.isFirstChunkSeen = true;
    choice.lastAtMs = atMs;
  }

  #step(choice: Choice, event: RequestEvent): void {
    const { atMs } = event;
    const families = this.#families;
    switch (event.type) {
      case "queued":
        if (choice.firstAtMs === undefined) this.#enter(choice, "queued", atMs);
        return;
      case "routed":
        families.decision.labels({ phase: event.phase }).observe(event.decisionMs / 1000);
        families.routed.labels({ worker: event.worker, phase: event.phase }).add();
        if (event.phase !== "decode" && event.promptTokens > 0)
          this.#model.hitPredicted.observe(event.cachedTokens / event.promptTokens);
        if (choice.firstAtMs === undefined)
          this.#enter(choice, event.phase === "decode" ? "decode" : "prefill", atMs);
        return;
      case "prefilled":
        if (choice.firstAtMs === undefined) this.#enter(choice, "transfer", atMs);
        return;
      case "transferred":
        families.transfer.labels({}).observe(event.durationMs / 1000);
        families.transferredTokens.labels({}).add(event.heldTokens);
        if (choice.firstAtMs === undefined) this.#enter(choice, "decode", atMs);
        return;
      case "firstToken":
        if (choice.firstAtMs === undefined) this.#firstToken(choice, atMs);
        return;
      case "migrated": {
        const kind = choice.firstAtMs === undefined ? "new_request" : "ongoing_request";
        families.migrations
          .labels({ model: this.#info.model, kind, outcome: event.outcome, cause: event.cause })
          .add();
        families.migrationGap.labels({ kind }).observe(event.gapMs / 1000);
        families.recomputed.labels({ model: this.#info.model }).add(event.recomputedTokens);
        return;
      }
      case "finished":
        this.#finished(event, choice);
        return;
      case "tokens":
    }
  }

  #enter(choice: Choice, stage: Stage | undefined, atMs: number): void {
    if (choice.stage === stage) return;
    const families = this.#families;
    if (choice.stage !== undefined) {
      families.stage.labels({ stage: choice.stage }).add(-1);
      families.stageTime.labels({ stage: choice.stage }).observe((atMs - choice.stageSinceMs) / 1000);
    }
    if (stage !== undefined) {
      families.stage.labels({ stage }).add(1);
      this.#lastStage = stage;
    }
    choice.stage = stage;
    choice.stageSinceMs = atMs;
  }

  #firstToken(choice: Choice, atMs: number): void {
    choice.firstAtMs = atMs;
    choice.lastAtMs = atMs;
    this.#enter(choice, "decode", atMs);
    if (this.#hasStart) judge(this.#model.ttft, this.#model.slo.ttft, (atMs - this.#startMs) / 1000, 1);
  }

  #finished(event: RequestEvent & { type: "finished" }, choice: Choice): void {
    if (choice.isFinished) return;
    choice.isFinished = true;
    const model = this.#model;
    this.#countInput(event.promptTokens, event.cachedTokens);
    if (event.outputTokens > choice.outputTokens)
      model.outputTokens.add(event.outputTokens - choice.outputTokens);
    model.outputLength.observe(event.outputTokens);
    if (event.reason === "cancelled") {
      this.#outcome = { status: "cancelled" };
    } else if (event.reason === "error" || event.reason === "abort") {
      const code = event.code ?? event.reason.toUpperCase();
      const status = codesOfLoad.test(code) ? "rejected" : "error";
      this.#outcome = { status, errorType: code, isClientError: codesOfClients.test(code) };
    }
    this.#enter(choice, undefined, event.atMs);
  }

  #countInput(promptTokens: number, cachedTokens: number): void {
    if (this.#isInputCounted) return;
    this.#isInputCounted = true;
    const model = this.#model;
    model.inputTokens.add(promptTokens);
    model.inputLength.observe(promptTokens);
    model.cached.observe(cachedTokens);
    if (promptTokens > 0) model.hitActual.observe(cachedTokens / promptTokens);
  }
}

function judge(histogram: Histogram, slo: SloSeries | undefined, seconds: number, times: number): void {
  histogram.observe(seconds, times);
  slo?.record(seconds <= slo.thresholdSeconds, times);
}
