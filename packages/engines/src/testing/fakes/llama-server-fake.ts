import { randomUUID } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import {
  createRequest,
  StatorError,
  type Engine,
  type EngineStatus,
  type GenerateRequest,
  type Handoff,
  type TokenBatch,
} from "@stator/core";
import { startHttpFake, type EngineFake, type Exchange } from "./http-fake.ts";

export interface LlamaServerFakeOptions {
  /** What computes the tokens: bytes are ids, as the simulated engine has them. */
  readonly engine: Engine;
  readonly slots?: number;
  /** `--slot-save-path`. */
  readonly slotFolder?: string;
  /** KV behind slot files, shared by both fakes: files only name it. */
  readonly states?: Map<string, SavedState>;
  /** After this many output tokens: break off, or end without the last chunk. */
  readonly fault?: { readonly afterTokens: number; readonly how: "cut" | "vanish" };
  /** Tokenizing text does not give the ids that were generated. */
  readonly tokenizesOtherwise?: boolean;
}

/** KV of a slot. */
export interface SavedState {
  readonly handoff: Handoff;
  readonly tokens: number;
}

interface CompletionBody {
  readonly prompt?: readonly number[];
  readonly n_predict?: number;
  readonly temperature?: number;
  readonly top_k?: number;
  readonly top_p?: number;
  readonly min_p?: number;
  readonly seed?: number;
  readonly presence_penalty?: number;
  readonly frequency_penalty?: number;
  readonly repeat_penalty?: number;
  readonly ignore_eos?: boolean;
  readonly n_probs?: number;
  readonly id_slot?: number;
  readonly stream?: boolean;
}

/** A server that speaks llama-server's `/completion`, nasty parts included, over a byte-level engine. */
export function startLlamaServerFake(options: LlamaServerFakeOptions): Promise<EngineFake> {
  const { engine, slots = 4, states = new Map<string, SavedState>() } = options;
  const inSlots = new Map<number, SavedState>();
  let status: EngineStatus | undefined;
  engine.onStatus?.((next) => (status = next));

  return startHttpFake(async (exchange) => {
    const action = /^\/slots\/(\d+)$/.exec(exchange.path);
    if (action !== null) return slotFile(exchange, Number(action[1]));
    switch (exchange.path) {
      case "/health":
        return exchange.json(200, { status: "ok" });
      case "/props":
        return exchange.json(200, {
          default_generation_settings: { n_ctx: engine.card?.contextTokens },
          total_slots: slots,
          chat_template: "",
        });
      case "/v1/models":
        return exchange.json(200, { data: [{ id: engine.card?.model, meta: { n_params: 1, size: 1 } }] });
      case "/slots":
        return exchange.json(
          200,
          Array.from({ length: slots }, (_, id) => ({ id, is_processing: id < (status?.load.running ?? 0) })),
        );
      case "/metrics":
        return exchange.text(
          200,
          `llamacpp:requests_processing ${status?.load.running ?? 0}\nllamacpp:requests_deferred ${status?.load.waiting ?? 0}\n`,
        );
      case "/tokenize": {
        const { content } = exchange.body as { content: string };
        const tokens = [...Buffer.from(content, "utf8")];
        return exchange.json(200, { tokens: options.tokenizesOtherwise === true ? tokens.slice(1) : tokens });
      }
      case "/completion":
        return complete(exchange, exchange.body as CompletionBody);
      default:
        return fail(exchange, 404, "File Not Found", "not_found_error");
    }
  });

  function fail(exchange: Exchange, code: number, message: string, type = "invalid_request_error"): void {
    exchange.json(code, { error: { code, message, type } });
  }

  async function slotFile(exchange: Exchange, slot: number): Promise<void> {
    const { filename } = exchange.body as { filename: string };
    if (options.slotFolder === undefined)
      return fail(exchange, 501, "This server does not support slots action.");
    if (/[/\\]|\.\./.test(filename)) return fail(exchange, 400, "Invalid filename");
    const file = path.join(options.slotFolder, filename);
    if (exchange.query.get("action") === "restore") {
      const name = await readFile(file, "utf8").catch(() => undefined);
      const state = name === undefined ? undefined : states.get(name);
      if (state === undefined)
        return fail(exchange, 400, "Unable to restore slot, no available space or invalid slot save file");
      inSlots.set(slot, state);
      return exchange.json(200, { id_slot: slot, filename, n_restored: state.tokens });
    }
    const state = inSlots.get(slot);
    if (state === undefined) return exchange.json(200, { id_slot: slot, filename, n_saved: 0, n_written: 0 });
    const name = randomUUID();
    states.set(name, state);
    await writeFile(file, name);
    exchange.json(200, { id_slot: slot, filename, n_saved: state.tokens, n_written: name.length });
  }

  async function complete(exchange: Exchange, body: CompletionBody): Promise<void> {
    const promptIds = body.prompt ?? [];
    const context = engine.card?.contextTokens ?? Infinity;
    if (promptIds.length >= context) {
      const error = {
        code: 400,
        message: `the request exceeds the available context size (${context} tokens)`,
        type: "exceed_context_size_error",
        n_prompt_tokens: promptIds.length,
        n_ctx: context,
      };
      return exchange.json(400, { error });
    }
    const slot = body.id_slot ?? -1;
    // A prompt whose KV may be saved: one token, on a slot that was asked for.
    const isPrefill =
      slot >= 0 && body.stream !== true && body.n_predict === 1 && options.slotFolder !== undefined;
    const handoff = isPrefill ? undefined : inSlots.get(slot)?.handoff;
    if (slot >= 0) inSlots.delete(slot);
    const request = requestOf(body, promptIds, isPrefill, handoff);
    try {
      if (body.stream === true) return await stream(exchange, body, request);
      return await whole(exchange, body, request, slot);
    } catch (error) {
      if (exchange.signal.aborted) return;
      fail(exchange, StatorError.from(error).kind === "invalid" ? 400 : 500, String(error));
    }
  }

  async function whole(
    exchange: Exchange,
    body: CompletionBody,
    request: GenerateRequest,
    slot: number,
  ): Promise<void> {
    const ids: number[] = [];
    const probabilities: unknown[] = [];
    let cached = 0;
    let finish: TokenBatch["finish"];
    for await (const batch of engine.generate(request, { signal: exchange.signal })) {
      ids.push(...batch.ids);
      cached = batch.cachedTokens ?? cached;
      finish = batch.finish;
      for (const [i, id] of [...batch.ids].entries()) probabilities.push(probability(batch, i, id));
      // Its KV is as good as new for whoever restores it; the first token is sampled again.
      if (batch.handoff !== undefined) {
        const handoff: Handoff = { ...batch.handoff, firstIds: [], firstEmittedBy: "nobody" };
        inSlots.set(slot, { handoff, tokens: request.promptIds.length });
      }
    }
    exchange.json(200, {
      index: 0,
      content: Buffer.from(ids.filter((id) => id < 256)).toString("utf8"),
      tokens: ids,
      id_slot: Math.max(0, slot),
      stop: true,
      stop_type: finish?.reason === "stop" ? "eos" : "limit",
      tokens_predicted: ids.length,
      tokens_evaluated: request.promptIds.length,
      timings: { cache_n: cached, prompt_n: request.promptIds.length - cached },
      ...(body.n_probs === undefined ? {} : { completion_probabilities: probabilities }),
    });
  }

  async function stream(exchange: Exchange, body: CompletionBody, request: GenerateRequest): Promise<void> {
    let predicted = 0;
    let text: number[] = [];
    let cached = 0;
    // A progress event has a made-up token.
    exchange.event({
      index: 0,
      content: "",
      tokens: [0],
      stop: false,
      tokens_predicted: 0,
      prompt_progress: { total: request.promptIds.length, cache: 0, processed: 0, time_ms: 0 },
    });
    let finish: TokenBatch["finish"];
    for await (const batch of engine.generate(request, { signal: exchange.signal })) {
      cached = request.handoff === undefined ? (batch.cachedTokens ?? cached) : request.promptIds.length - 1;
      finish = batch.finish;
      for (const [i, id] of [...batch.ids].entries()) {
        if (options.fault !== undefined && predicted >= options.fault.afterTokens) {
          if (options.fault.how === "cut") exchange.cut();
          else exchange.end();
          return;
        }
        predicted += 1;
        if (id < 256) text.push(id);
        // Nothing is sent for a token that leaves a character unfinished, and its id is never sent at all.
        if (isUnfinished(text)) continue;
        exchange.event({
          index: 0,
          content: Buffer.from(text).toString("utf8"),
          tokens: [id],
          stop: false,
          id_slot: -1,
          tokens_predicted: predicted,
          tokens_evaluated: request.promptIds.length,
          timings: { cache_n: cached },
          ...(body.n_probs === undefined ? {} : { completion_probabilities: [probability(batch, i, id)] }),
        });
        text = [];
      }
    }
    exchange.event({
      index: 0,
      content: "",
      tokens: [],
      id_slot: 0,
      stop: true,
      stop_type: finish?.reason === "stop" ? "eos" : "limit",
      tokens_predicted: predicted,
      tokens_evaluated: request.promptIds.length,
      timings: { cache_n: cached },
    });
    // No [DONE] on this route.
    exchange.end();
  }
}

function probability(batch: TokenBatch, i: number, id: number): unknown {
  const told = batch.logprobs?.[i];
  return { id, token: "x", bytes: [], logprob: told?.logprob ?? 0, top_logprobs: told?.top ?? [] };
}

/** Whether the bytes end inside of a UTF-8 character. */
function isUnfinished(bytes: readonly number[]): boolean {
  for (let back = 1; back <= Math.min(3, bytes.length); back++) {
    const byte = bytes[bytes.length - back]!;
    if (byte < 0x80) return false;
    if (byte >= 0xc0) return (byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : 2) > back;
  }
  return false;
}

function requestOf(
  body: CompletionBody,
  promptIds: readonly number[],
  isPrefill: boolean,
  handoff: Handoff | undefined,
): GenerateRequest {
  return createRequest({
    id: randomUUID(),
    model: "",
    promptIds: Uint32Array.from(promptIds),
    mode: isPrefill ? "prefill" : "full",
    sampling: {
      temperature: body.temperature ?? 0.8,
      topP: body.top_p ?? 1,
      topK: body.top_k ?? 0,
      minP: body.min_p ?? 0,
      seed: BigInt(body.seed ?? 0),
      presencePenalty: body.presence_penalty ?? 0,
      frequencyPenalty: body.frequency_penalty ?? 0,
      repetitionPenalty: body.repeat_penalty ?? 1,
    },
    limits: {
      maxTokens: isPrefill ? 1_000 : (body.n_predict ?? -1) < 0 ? 1_000 : body.n_predict!,
      ...(body.ignore_eos === undefined ? {} : { ignoreEos: body.ignore_eos }),
    },
    ...(body.n_probs === undefined || body.n_probs === 0 ? {} : { topLogprobs: body.n_probs }),
    ...(handoff === undefined ? {} : { handoff }),
  });
}
