import { Agent as HttpAgent, type ClientRequest } from "node:http";
import { Agent as HttpsAgent } from "node:https";
import { StatorError } from "@stator/core";
import { createPrompts } from "./prompts.ts";
import { sseRequest } from "./sse-request.ts";
import { distribution, type Distribution } from "./statistics.ts";

export interface LoadOptions {
  /** Base address of an OpenAI-compatible server, `http://host:port`. */
  readonly url: string;
  /** Model name; the server's first one when absent. */
  readonly model?: string;
  /** Default `chat`. */
  readonly endpoint?: "chat" | "completions";
  /** Requests in all. Default 100, or unbounded when `durationMs` is given. */
  readonly requests?: number;
  readonly durationMs?: number;
  /** Closed loop: how many at once. Default 8. Ignored in open loop. */
  readonly concurrency?: number;
  /** Open loop: Poisson arrivals per second, whatever the answers take. */
  readonly ratePerSecond?: number;
  /** Words of a prompt, about a token each. Default 64. */
  readonly inputWords?: number;
  /** Words that prompts share, in `prefixGroups` groups (default 1). Default 0. */
  readonly sharedWords?: number;
  readonly prefixGroups?: number;
  /** Output tokens of each request. Default 32. */
  readonly outputTokens?: number;
  /** Asks the server to go on over end tokens, so that outputs have the same length. Default true. */
  readonly ignoreEos?: boolean;
  readonly temperature?: number;
  /** Requests that keep both count as good. */
  readonly slo?: { readonly ttftMs?: number; readonly itlMs?: number };
  readonly apiKey?: string;
  /** Silence of the server after which a request failed. Default 60,000. */
  readonly timeoutMs?: number;
  readonly seed?: number;
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: LoadProgress) => void;
  /** Sees every finished request, in order of finishing. */
  readonly onRequest?: (outcome: RequestOutcome) => void;
}

export interface LoadProgress {
  readonly started: number;
  readonly finished: number;
  readonly failed: number;
  readonly outputTokens: number;
  readonly elapsedMs: number;
}

export interface RequestOutcome {
  readonly index: number;
  readonly ok: boolean;
  readonly error?: string;
  readonly status: number;
  readonly ttftMs: number;
  readonly totalMs: number;
  readonly itlMs: readonly number[];
  readonly promptTokens: number;
  readonly outputTokens: number;
  readonly cachedTokens: number;
  readonly text: string;
  readonly finishReason?: string;
}

export interface LoadReport {
  readonly url: string;
  readonly model: string;
  readonly mode: "open" | "closed";
  readonly requests: number;
  readonly failed: number;
  readonly errors: Readonly<Record<string, number>>;
  readonly durationMs: number;
  readonly requestsPerSecond: number;
  readonly outputTokensPerSecond: number;
  readonly ttftMs: Distribution;
  readonly itlMs: Distribution;
  readonly requestMs: Distribution;
  readonly inputTokens: Distribution;
  readonly outputTokens: Distribution;
  /** Prompt tokens found in caches over all prompt tokens. */
  readonly cachedRatio: number;
  /** Requests per second that kept the SLO; all that succeeded when none is given. */
  readonly goodputPerSecond: number;
}

/**
 * Sends load to any OpenAI-compatible server and measures what its clients see. Failures are counted, not thrown.
 *
 * @throws StatorError `LOAD_SERVER_UNREACHABLE` when the model list cannot be read.
 */
export async function runLoad(options: LoadOptions): Promise<LoadReport> {
  const model = options.model ?? (await firstModel(options));
  const agent = options.url.startsWith("https:")
    ? new HttpsAgent({ keepAlive: true })
    : new HttpAgent({ keepAlive: true });
  const signal = options.signal ?? new AbortController().signal;
  const total = options.requests ?? (options.durationMs === undefined ? 100 : Number.POSITIVE_INFINITY);
  const started = performance.now();
  const until = started + (options.durationMs ?? Number.POSITIVE_INFINITY);
  const outcomes: RequestOutcome[] = [];
  const open = new Set<ClientRequest>();
  const run = { ...options, model, agent, open, prompt: promptsOf(options) };
  let next = 0;
  let outputTokens = 0;

  const one = async (): Promise<void> => {
    const outcome = await sendOne(run, next++);
    outcomes.push(outcome);
    outputTokens += outcome.outputTokens;
    options.onRequest?.(outcome);
    options.onProgress?.({
      started: next,
      finished: outcomes.length,
      failed: outcomes.reduce((n, o) => n + (o.ok ? 0 : 1), 0),
      outputTokens,
      elapsedMs: performance.now() - started,
    });
  };
  const mayStart = (): boolean => next < total && performance.now() < until && !signal.aborted;

  const onAbort = (): void => {
    for (const request of open) request.destroy(new Error("the load was stopped"));
  };
  signal.addEventListener("abort", onAbort, { once: true });

  try {
    if (options.ratePerSecond === undefined) {
      const lane = async (): Promise<void> => {
        while (mayStart()) await one();
      };
      await Promise.all(Array.from({ length: Math.min(options.concurrency ?? 8, total) }, lane));
    } else {
      await openLoop(options.ratePerSecond, options.seed ?? 1, mayStart, one);
    }
  } finally {
    signal.removeEventListener("abort", onAbort);
    agent.destroy();
  }
  return summarize(options, model, outcomes, performance.now() - started);
}

async function openLoop(
  ratePerSecond: number,
  seed: number,
  mayStart: () => boolean,
  one: () => Promise<void>,
): Promise<void> {
  const running = new Set<Promise<void>>();
  let state = seed >>> 0;
  let due = performance.now();
  while (mayStart()) {
    const wait = due - performance.now();
    if (wait > 1) {
      await new Promise((resolve) => setTimeout(resolve, wait));
      continue;
    }
    const work = one().finally(() => running.delete(work));
    running.add(work);
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    due += (-Math.log((state + 1) / 4_294_967_297) * 1000) / ratePerSecond;
  }
  await Promise.all(running);
}

function promptsOf(options: LoadOptions): (index: number) => string {
  return createPrompts({
    inputWords: options.inputWords ?? 64,
    sharedWords: options.sharedWords ?? 0,
    groups: options.prefixGroups ?? 1,
    seed: options.seed ?? 1,
  });
}

interface Chunk {
  readonly error?: { readonly message?: string; readonly code?: string };
  readonly usage?: {
    readonly prompt_tokens: number;
    readonly completion_tokens: number;
    readonly prompt_tokens_details?: { readonly cached_tokens?: number };
  };
  readonly choices?: readonly {
    readonly text?: string;
    readonly delta?: {
      readonly content?: string | null;
      /** Thoughts, as SGLang and DeepSeek name them, and as vLLM does. */
      readonly reasoning_content?: string | null;
      readonly reasoning?: string | null;
    };
    readonly finish_reason?: string | null;
  }[];
}

type Run = LoadOptions & {
  model: string;
  agent: HttpAgent;
  open: Set<ClientRequest>;
  prompt: (index: number) => string;
};

async function sendOne(run: Run, index: number): Promise<RequestOutcome> {
  const prompt = run.prompt(index);
  const isChat = (run.endpoint ?? "chat") === "chat";
  const body = JSON.stringify({
    model: run.model,
    ...(isChat ? { messages: [{ role: "user", content: prompt }] } : { prompt }),
    max_tokens: run.outputTokens ?? 32,
    temperature: run.temperature ?? 0,
    seed: (run.seed ?? 1) + index,
    stream: true,
    stream_options: { include_usage: true },
    ...(run.ignoreEos === false ? {} : { ignore_eos: true }),
  });
  const startedMs = performance.now();
  let firstMs: number | undefined;
  let lastMs = startedMs;
  let text = "";
  let usage: Chunk["usage"];
  let finishReason: string | undefined;
  let error: string | undefined;
  let status = 0;
  const itlMs: number[] = [];

  try {
    const answer = await sseRequest({
      url: new URL(isChat ? "/v1/chat/completions" : "/v1/completions", run.url),
      body,
      headers: run.apiKey === undefined ? {} : { authorization: `Bearer ${run.apiKey}` },
      agent: run.agent,
      timeoutMs: run.timeoutMs ?? 60_000,
      open: run.open,
      onEvent(payload, atMs) {
        if (payload === "[DONE]") return;
        const chunk = JSON.parse(payload) as Chunk;
        if (chunk.error) error = chunk.error.code ?? chunk.error.message ?? "error";
        usage = chunk.usage ?? usage;
        const choice = chunk.choices?.[0];
        finishReason = choice?.finish_reason ?? finishReason;
        const delta = choice?.delta;
        const thought = delta?.reasoning_content ?? delta?.reasoning;
        const piece = `${thought ?? ""}${delta?.content ?? choice?.text ?? ""}`;
        if (piece === "") return;
        text += piece;
        if (firstMs === undefined) firstMs = atMs;
        else itlMs.push(atMs - lastMs);
        lastMs = atMs;
      },
    });
    status = answer.status;
    if (answer.error !== undefined) error = `HTTP ${answer.status}`;
    else if (finishReason === undefined) error ??= "no finish";
  } catch (thrown) {
    error =
      thrown instanceof Error ? ((thrown as NodeJS.ErrnoException).code ?? thrown.message) : String(thrown);
  }
  return {
    index,
    ok: error === undefined,
    ...(error === undefined ? {} : { error }),
    status,
    ttftMs: (firstMs ?? performance.now()) - startedMs,
    totalMs: performance.now() - startedMs,
    itlMs,
    promptTokens: usage?.prompt_tokens ?? 0,
    outputTokens: usage?.completion_tokens ?? 0,
    cachedTokens: usage?.prompt_tokens_details?.cached_tokens ?? 0,
    text,
    ...(finishReason === undefined ? {} : { finishReason }),
  };
}

function summarize(
  options: LoadOptions,
  model: string,
  outcomes: readonly RequestOutcome[],
  durationMs: number,
): LoadReport {
  const good = outcomes.filter((o) => o.ok);
  const errors: Record<string, number> = {};
  for (const { error } of outcomes) if (error !== undefined) errors[error] = (errors[error] ?? 0) + 1;
  const prompt = good.reduce((n, o) => n + o.promptTokens, 0);
  const cached = good.reduce((n, o) => n + o.cachedTokens, 0);
  const output = good.reduce((n, o) => n + o.outputTokens, 0);
  const kept = good.filter((o) => keepsSlo(o, options.slo));
  const perSecond = (n: number): number => Math.round((n / durationMs) * 1e6) / 1000;
  return {
    url: options.url,
    model,
    mode: options.ratePerSecond === undefined ? "closed" : "open",
    requests: outcomes.length,
    failed: outcomes.length - good.length,
    errors,
    durationMs: Math.round(durationMs),
    requestsPerSecond: perSecond(good.length),
    outputTokensPerSecond: perSecond(output),
    ttftMs: distribution(good.map((o) => o.ttftMs)),
    itlMs: distribution(good.flatMap((o) => o.itlMs)),
    requestMs: distribution(good.map((o) => o.totalMs)),
    inputTokens: distribution(good.map((o) => o.promptTokens)),
    outputTokens: distribution(good.map((o) => o.outputTokens)),
    cachedRatio: prompt === 0 ? 0 : Math.round((cached / prompt) * 1000) / 1000,
    goodputPerSecond: perSecond(kept.length),
  };
}

function keepsSlo(outcome: RequestOutcome, slo: LoadOptions["slo"]): boolean {
  if (slo?.ttftMs !== undefined && outcome.ttftMs > slo.ttftMs) return false;
  if (slo?.itlMs === undefined || outcome.outputTokens < 2) return true;
  return (outcome.totalMs - outcome.ttftMs) / (outcome.outputTokens - 1) <= slo.itlMs;
}

async function firstModel(options: LoadOptions): Promise<string> {
  const url = new URL("/v1/models", options.url);
  try {
    const response = await fetch(url, {
      signal: AbortSignal.timeout(5_000),
      ...(options.apiKey === undefined ? {} : { headers: { authorization: `Bearer ${options.apiKey}` } }),
    });
    const body = (await response.json()) as { data?: readonly { id: string }[] };
    const id = body.data?.[0]?.id;
    if (id !== undefined) return id;
    throw new Error(`HTTP ${response.status}, no model in the list`);
  } catch (cause) {
    throw new StatorError({
      code: "LOAD_SERVER_UNREACHABLE",
      kind: "unavailable",
      message: `No models at ${url.href}: ${cause instanceof Error ? cause.message : String(cause)}. Is the server up? Give --url and --model.`,
      cause,
    });
  }
}
