// One contract in one file: a fake is read beside the server's documentation.
import { randomUUID } from "node:crypto";
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
import type { MeetingRooms } from "./meeting-rooms.ts";

export interface SglangFakeOptions {
  /** What computes the tokens. */
  readonly engine: Engine;
  readonly model?: string;
  /** Default `unified`. The others need `rooms`, shared by both sides. */
  readonly mode?: "unified" | "prefill" | "decode";
  readonly rooms?: MeetingRooms;
  /** `output_ids` of a stream: all so far (default), or only what is new (`--stream-output`). */
  readonly stream?: "cumulative" | "delta";
  /** Refuses as a full queue does: 503, or inside of a 200 stream. */
  readonly isFull?: () => boolean;
  /** After this many output tokens: break off, an `abort` finish reason, or an end without one. */
  readonly fault?: { readonly afterTokens: number; readonly how: "cut" | "abort" | "vanish" };
  /** Decode aborts with this message in place of taking the KV. */
  readonly transferFails?: () => boolean;
  /** Tensor-parallel ranks, each of which reports every gauge. Default 1. */
  readonly tensorRanks?: number;
  /** What `/get_server_info` says beside or in place of the usual. */
  readonly serverInfo?: Readonly<Record<string, unknown>>;
  /** `/get_load` only, no `/metrics`. */
  readonly withoutMetrics?: boolean;
}

interface GenerateBody {
  readonly input_ids?: readonly number[];
  readonly stream?: boolean;
  readonly rid?: string;
  readonly lora_path?: string;
  readonly return_logprob?: boolean;
  readonly top_logprobs_num?: number;
  readonly bootstrap_room?: number | bigint;
  readonly sampling_params?: {
    readonly max_new_tokens?: number;
    readonly min_new_tokens?: number;
    readonly temperature?: number;
    readonly top_p?: number;
    readonly top_k?: number;
    readonly min_p?: number;
    readonly presence_penalty?: number;
    readonly frequency_penalty?: number;
    readonly repetition_penalty?: number;
    readonly sampling_seed?: number | bigint;
    readonly stop_token_ids?: readonly number[];
    readonly ignore_eos?: boolean;
  };
}

/** Positions of the context that the real one takes no prompt into. */
const keptPositions = 6;

/** A server that speaks SGLang's `/generate`, nasty parts included, over any engine. */
export function startSglangFake(options: SglangFakeOptions): Promise<EngineFake> {
  const { engine, mode = "unified", stream: form = "cumulative", rooms } = options;
  const name = options.model ?? engine.card?.model ?? "model";
  let status: EngineStatus | undefined;
  engine.onStatus?.((next) => (status = next));
  // The real one forgets an id once its request is through; this one never does.
  const known = new Set<string>();

  return startHttpFake(async (exchange) => {
    switch (exchange.path) {
      case "/health":
        return exchange.text(200, "");
      case "/v1/models":
        return exchange.json(200, { data: [{ id: name, max_model_len: engine.card?.contextTokens }] });
      case "/get_server_info":
        return exchange.json(200, {
          page_size: engine.card?.blockTokens,
          max_total_num_tokens: (status?.load.kvBlocksTotal ?? 100) * (engine.card?.blockTokens ?? 1),
          dp_size: 1,
          max_running_requests: 32,
          max_req_input_len: (engine.card?.contextTokens ?? 0) - keptPositions,
          version: "0.5.23",
          ...options.serverInfo,
        });
      case "/get_load":
        return exchange.json(200, [
          {
            dp_rank: 0,
            num_reqs: status?.load.running ?? 0,
            num_waiting_reqs: status?.load.waiting ?? 0,
            num_tokens: 0,
          },
        ]);
      case "/metrics":
        return options.withoutMetrics === true
          ? exchange.text(404, "")
          : exchange.text(200, metricsOf(status, options.tensorRanks ?? 1));
      case "/generate":
        return generate(exchange, exchange.body as GenerateBody);
      default:
        return exchange.json(404, { object: "error", message: `no route ${exchange.path}`, code: 404 });
    }
  });

  async function generate(exchange: Exchange, body: GenerateBody): Promise<void> {
    const refuse = (code: number, message: string): void => {
      const error = { object: "error", message, type: "ServiceUnavailable", code };
      if (body.stream !== true) return exchange.json(code, error);
      // As the real one: the stream has begun when the scheduler says no.
      exchange.event({ error });
      exchange.end();
    };
    const promptIds = body.input_ids ?? [];
    if (options.isFull?.() === true) return refuse(503, "The request queue is full.");
    const context = (engine.card?.contextTokens ?? Infinity) - keptPositions;
    if (promptIds.length === 0 || promptIds.length > context)
      return exchange.json(400, {
        error: { message: `The input has ${promptIds.length} tokens, the context ${context}.` },
      });
    if (body.lora_path !== undefined)
      return exchange.json(400, {
        error: { message: `LoRA adapter '${body.lora_path}' was requested, but LoRA is not enabled.` },
      });
    if (body.rid !== undefined && known.has(body.rid))
      return exchange.json(400, { error: { message: `Duplicate request ID detected: ${body.rid}` } });
    if (body.rid !== undefined) known.add(body.rid);
    const room = body.bootstrap_room === undefined ? undefined : String(body.bootstrap_room);
    const request = requestOf(body, promptIds, mode === "prefill" ? "prefill" : "full");
    try {
      if (mode === "prefill") return await prefill(exchange, body, request, room);
      if (mode === "decode" && room !== undefined) return await decode(exchange, body, request, room);
      return await answer(exchange, body, engine.generate(request, { signal: exchange.signal }), promptIds);
    } catch (error) {
      if (exchange.signal.aborted) return;
      const { kind, message } = StatorError.from(error);
      refuse(kind === "invalid" ? 400 : kind === "overloaded" ? 503 : 500, message);
    }
  }

  async function prefill(
    exchange: Exchange,
    body: GenerateBody,
    request: GenerateRequest,
    room: string | undefined,
  ): Promise<void> {
    if (room === undefined || rooms === undefined)
      return exchange.json(400, { error: { message: "Disaggregated prefill needs a bootstrap_room." } });
    let cached = 0;
    try {
      for await (const batch of engine.generate(request, { signal: exchange.signal })) {
        cached = batch.cachedTokens ?? cached;
        if (batch.handoff !== undefined) {
          const handoff: Handoff = { ...batch.handoff, firstEmittedBy: "decode" };
          rooms.leave(room, { type: "handoff", handoff });
        } else if (batch.finish !== undefined) rooms.leave(room, { type: "finished", batch });
      }
    } catch (error) {
      rooms.leave(room, { type: "failed", message: String(error) });
      throw error;
    }
    exchange.json(200, {
      text: "",
      output_ids: [],
      meta_info: {
        id: body.rid,
        finish_reason: { type: "length", length: 1 },
        completion_tokens: 1,
        cached_tokens: cached,
      },
    });
  }

  async function decode(
    exchange: Exchange,
    body: GenerateBody,
    request: GenerateRequest,
    room: string,
  ): Promise<void> {
    const left = await rooms!.take(room, exchange.signal);
    const failure =
      left.type === "failed"
        ? left.message
        : options.transferFails?.() === true
          ? "KV transfer failed"
          : undefined;
    if (failure !== undefined)
      return end(exchange, body, { type: "abort", message: failure, status_code: 500 }, [], 0);
    const batches =
      left.type === "finished"
        ? once(left.batch)
        : engine.generate(
            { ...request, ...(left.type === "handoff" ? { handoff: left.handoff } : {}) },
            { signal: exchange.signal },
          );
    await answer(exchange, body, batches, request.promptIds);
  }

  async function answer(
    exchange: Exchange,
    body: GenerateBody,
    batches: AsyncIterable<TokenBatch>,
    promptIds: ArrayLike<number>,
  ): Promise<void> {
    const ids: number[] = [];
    const logprobs: unknown[] = [];
    const tops: unknown[] = [];
    let cached = 0;
    for await (const batch of batches) {
      cached = batch.cachedTokens ?? cached;
      for (const [i, id] of [...batch.ids].entries()) {
        if (options.fault !== undefined && ids.length >= options.fault.afterTokens) {
          if (options.fault.how === "cut") return exchange.cut();
          if (options.fault.how === "vanish") return exchange.end();
          return end(
            exchange,
            body,
            { type: "abort", message: "Aborted", status_code: 500 },
            ids,
            promptIds.length,
          );
        }
        ids.push(id);
        const told = batch.logprobs?.[i];
        logprobs.push([told?.logprob ?? 0, id, null]);
        tops.push((told?.top ?? []).map((top) => [top.logprob, top.id, null]));
        if (body.stream !== true) continue;
        const isLast = i === batch.ids.length - 1;
        exchange.event(
          chunk(
            form === "delta" ? [id] : ids,
            finishOf(isLast ? batch.finish : undefined, id, body),
            ids.length,
          ),
        );
      }
      if (batch.ids.length === 0 && batch.finish !== undefined && body.stream === true)
        exchange.event(
          chunk(form === "delta" ? [] : ids, finishOf(batch.finish, undefined, body), ids.length),
        );
    }
    if (body.stream !== true)
      return exchange.json(200, chunk(ids, { type: "length", length: ids.length }, ids.length));
    exchange.event("[DONE]", { raw: true });
    exchange.end();

    function chunk(outputIds: readonly number[], reason: unknown, completed: number): unknown {
      const isCumulative = outputIds.length === completed;
      return {
        text: "x".repeat(outputIds.length),
        output_ids: [...outputIds],
        meta_info: {
          id: body.rid,
          finish_reason: reason,
          prompt_tokens: promptIds.length,
          completion_tokens: completed,
          cached_tokens: cached,
          ...(body.return_logprob === true
            ? {
                output_token_logprobs: isCumulative ? logprobs : logprobs.slice(-outputIds.length),
                output_top_logprobs: isCumulative ? tops : tops.slice(-outputIds.length),
              }
            : {}),
        },
      };
    }
  }

  function end(
    exchange: Exchange,
    body: GenerateBody,
    reason: unknown,
    ids: readonly number[],
    promptTokens: number,
  ): void {
    const payload = {
      text: "",
      output_ids: [...ids],
      meta_info: {
        id: body.rid,
        finish_reason: reason,
        prompt_tokens: promptTokens,
        completion_tokens: ids.length,
      },
    };
    if (body.stream !== true) return exchange.json(200, payload);
    exchange.event(payload);
    exchange.event("[DONE]", { raw: true });
    exchange.end();
  }
}

async function* once(batch: TokenBatch): AsyncGenerator<TokenBatch> {
  await Promise.resolve();
  yield batch;
}

function finishOf(finish: TokenBatch["finish"], id: number | undefined, body: GenerateBody): unknown {
  if (finish === undefined) return null;
  if (finish.reason !== "stop") return { type: "length", length: body.sampling_params?.max_new_tokens };
  return { type: "stop", matched: finish.stopId ?? id };
}

function requestOf(
  body: GenerateBody,
  promptIds: readonly number[],
  mode: "full" | "prefill",
): GenerateRequest {
  const { sampling_params: given = {} } = body;
  return createRequest({
    id: randomUUID(),
    model: "",
    promptIds: Uint32Array.from(promptIds),
    mode,
    sampling: {
      temperature: given.temperature ?? 1,
      topP: given.top_p ?? 1,
      topK: Math.max(0, given.top_k ?? 0),
      minP: given.min_p ?? 0,
      seed: BigInt.asUintN(64, BigInt(given.sampling_seed ?? 0)),
      presencePenalty: given.presence_penalty ?? 0,
      frequencyPenalty: given.frequency_penalty ?? 0,
      repetitionPenalty: given.repetition_penalty ?? 1,
    },
    limits: {
      maxTokens: given.max_new_tokens ?? 128,
      ...(given.min_new_tokens === undefined ? {} : { minTokens: given.min_new_tokens }),
      // `ignore_eos` makes the real one deaf to stop ids as well.
      ...(given.stop_token_ids === undefined || given.ignore_eos === true
        ? {}
        : { stopIds: given.stop_token_ids }),
      ...(given.ignore_eos === undefined ? {} : { ignoreEos: given.ignore_eos }),
    },
    ...(body.return_logprob === true ? { topLogprobs: body.top_logprobs_num ?? 0 } : {}),
  });
}

function metricsOf(status: EngineStatus | undefined, tensorRanks: number): string {
  const load = status?.load;
  const share = load === undefined ? 0 : load.kvBlocksUsed / Math.max(1, load.kvBlocksTotal);
  return Array.from({ length: tensorRanks }, (_, rank) => {
    const labels = `{model_name="m",engine_type="unified",tp_rank="${rank}",pp_rank="0",dp_rank="0"}`;
    return [
      `sglang:num_running_reqs${labels} ${load?.running ?? 0}`,
      `sglang:num_queue_reqs${labels} ${load?.waiting ?? 0}`,
      `sglang:token_usage${labels} ${share}`,
    ];
  })
    .flat()
    .join("\n");
}
