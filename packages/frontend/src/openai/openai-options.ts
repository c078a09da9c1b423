import type { Clock, Engine, Logger, RequestObserver } from "@stator/core";
import type { ReasoningFormatName } from "../text/reasoning/reasoning-format.ts";
import type { ToolCallFormatName } from "../text/tool-calls/tool-call-format.ts";
import type { OpenAILimits } from "./limits.ts";

/** What a request is, before anything happens to it. */
export interface RequestFacts {
  readonly model: string;
  /** `chat_completions` or `completions`. */
  readonly endpoint: string;
  readonly stream: boolean;
  readonly choices: number;
  readonly startMs: number;
}

/** Measures one request. `createMetrics()` of `@stator/metrics` makes these. */
export interface RequestMeasure {
  readonly onEvent: RequestObserver;
  /** Ends it where its events cannot say how it ended. Idempotent. */
  end(outcome: {
    readonly status: "success" | "error" | "cancelled" | "rejected";
    readonly errorType?: string;
    readonly isClientError?: boolean;
  }): void;
}

/** Where `/metrics` comes from and requests are measured. `createMetrics()` of `@stator/metrics` is one. */
export interface MetricsSource {
  readonly contentType: string;
  expose(): Promise<string>;
  /** Undefined: this one is not measured, and no events are made for it. */
  startRequest?(facts: RequestFacts): RequestMeasure | undefined;
}

export interface OpenAIOptions {
  /** Engines by the model name that clients say. */
  readonly models: Readonly<Record<string, Engine>>;
  /**
   * How a model, by its name in `models`, writes calls to tools: `deepseek`, `deepseekV32`, `glm`, `harmony`, `hermes`, `kimiK2`,
   * `llama3`, `minimaxM2`, `mistral`, `pythonic`, `qwen3Coder`; `none`: they stay text. Default: as its chat template shows.
   */
  readonly toolCallFormats?: Readonly<Record<string, ToolCallFormatName | "none">>;
  /**
   * How a model sets its thoughts apart from its answer: `harmony`, `kimiVl`, `mistral`, `seed`, `think`; `none`: they stay text.
   * Default: as its chat template shows. Thoughts come as `reasoning_content`.
   */
  readonly reasoningFormats?: Readonly<Record<string, ReasoningFormatName | "none">>;
  /** Serves `/metrics` and measures requests. Default: neither. */
  readonly metrics?: MetricsSource;
  /** Hear what happens to every request: consoles, spans, explanations. */
  readonly observers?: readonly RequestObserver[];
  /** Tells clients in the header `x-stator-decision` how their request was routed. Default false: it names workers. */
  readonly explain?: boolean;
  /**
   * Origins of web pages that may call this server from a browser, `"*"` for all. Default: none; no CORS headers are sent, and a
   * browser lets no page of another origin read an answer.
   */
  readonly corsOrigins?: readonly string[] | "*";
  /** A stream that has said nothing for this long sends a comment, in ms, so that no proxy cuts a long prefill. Default 15,000. */
  readonly keepAliveMs?: number;
  readonly limits?: OpenAILimits;
  /** Status for overload. Default 503; 529 for those who come from Dynamo. */
  readonly overloadStatus?: number;
  /** `owned_by` of `/v1/models`. Default `stator`. */
  readonly ownedBy?: string;
  /** Default: silent. */
  readonly logger?: Logger;
  /** Default: the machine's. */
  readonly clock?: Clock;
}
