import { randomUUID } from "node:crypto";
import {
  StatorError,
  type Engine,
  type EngineStatus,
  type GenerateRequest,
  type Handoff,
  type TokenBatch,
} from "@stator/core";
import { requestOfBody, type CompletionBody } from "./completion-body.ts";
import type { MeetingRooms } from "./meeting-rooms.ts";
import { storedEvents, type KvPublisher } from "./kv-publisher.ts";
import { startHttpFake, type EngineFake, type Exchange } from "./http-fake.ts";

export interface VllmFakeOptions {
  /** What computes the tokens. */
  readonly engine: Engine;
  /** Model name that it lists. Default: the engine's. */
  readonly model?: string;
  /**
   * How the release speaks. `0.10.0`: no `token_ids`, flat error bodies, old metric names. `0.10`: `token_ids`, flat errors.
   * `0.29` (default): nested errors, newer transfer parameters.
   */
  readonly era?: "0.10.0" | "0.10" | "0.29";
  /** Handoffs in flight, shared by the prefill and the decode fake: stands for the NIXL side channel. */
  readonly sideChannel?: Map<string, Handoff>;
  /** How long prefill keeps KV that no decode reads, ms, as `VLLM_NIXL_ABORT_REQUEST_TIMEOUT` says. Default 480,000. */
  readonly holdMs?: number;
  /** Where the fakes of a Mooncake or P2P-NCCL pair meet: by `transfer_id`, or by the request id that holds both addresses. */
  readonly rooms?: MeetingRooms;
  /** Gets an event for every block of a prompt that was computed. */
  readonly publisher?: KvPublisher;
  /** After this many output tokens: break off, send an error inside of the stream, or end without `[DONE]` and finish reason. */
  readonly fault?: { readonly afterTokens: number; readonly how: "cut" | "errorInStream" | "vanish" };
  /** Answers 503 as a full queue does. */
  readonly isFull?: () => boolean;
}

/** A server that speaks vLLM's contract, nasty parts included, over any engine. */
export function startVllmFake(options: VllmFakeOptions): Promise<EngineFake> {
  const { engine, era = "0.29", sideChannel = new Map<string, Handoff>(), holdMs = 480_000 } = options;
  const name = options.model ?? engine.card?.model ?? "model";
  const published = new Set<bigint>();
  /** Blocks of prefilled prompts by their ids in the side channel; a decode that has read them takes the id away. */
  const offered = new Map<string, number>();
  const heldBlocks = (): number => {
    let blocks = 0;
    for (const [id, count] of offered)
      if (sideChannel.has(id)) blocks += count;
      else offered.delete(id);
    return blocks;
  };
  const publish = async ({ promptIds }: GenerateRequest): Promise<void> => {
    const events = storedEvents(
      promptIds,
      engine.card?.blockTokens ?? 16,
      published,
      era === "0.29" ? "map" : "array",
    );
    if (events.length > 0) await options.publisher?.publish(events);
  };
  let status: EngineStatus | undefined;
  engine.onStatus?.((next) => (status = next));

  const fail = (exchange: Exchange, code: number, message: string): void => {
    const error = {
      message,
      type: code === 400 ? "BadRequestError" : "InternalServerError",
      param: null,
      code,
    };
    exchange.json(code, era === "0.29" ? { error } : { object: "error", ...error });
  };

  return startHttpFake(async (exchange) => {
    switch (exchange.path) {
      case "/health":
        return exchange.text(200, "");
      case "/v1/models":
        return exchange.json(200, {
          object: "list",
          data: [{ id: name, object: "model", max_model_len: engine.card?.contextTokens }],
        });
      case "/metrics":
        return exchange.text(200, metricsOf(engine, status, name, era, heldBlocks()));
      case "/v1/completions":
        return complete(exchange, exchange.body as CompletionBody);
      default:
        return fail(exchange, 404, `no route ${exchange.path}`);
    }
  });

  async function complete(exchange: Exchange, body: CompletionBody): Promise<void> {
    if (options.isFull?.() === true) return fail(exchange, 503, "The request queue is full.");
    if (body.model !== undefined && body.model !== name)
      return fail(exchange, 404, `The model ${body.model} does not exist.`);
    const promptIds = body.prompt ?? [];
    const context = engine.card?.contextTokens ?? 0;
    if (promptIds.length === 0) return fail(exchange, 400, "prompt is empty");
    if (promptIds.length + (body.max_tokens ?? 16) > context) {
      return fail(exchange, 400, `This model's maximum context length is ${context} tokens.`);
    }
    const params = body.kv_transfer_params ?? undefined;
    const handoff =
      params?.["do_remote_prefill"] === true
        ? sideChannel.get(String(params["remote_request_id"]))
        : undefined;
    const requestId = String(exchange.headers["x-request-id"] ?? "");
    const isAddressed = /^___prefill_addr_.+___decode_addr_.+_/.test(requestId);
    const room = isAddressed ? requestId : params?.["transfer_id"];
    const isPrefill = params?.["do_remote_decode"] === true || (isAddressed && body.stream !== true);
    const request = requestOfBody(body, promptIds, isPrefill, handoff);
    try {
      if (typeof room === "string" && options.rooms !== undefined) {
        const { rooms } = options;
        if (isPrefill) return exchange.json(200, await pushed(request, exchange.signal, rooms, room));
        const left = await rooms.take(room, exchange.signal);
        if (left.type !== "handoff") return fail(exchange, 500, "KV load failed");
        return await stream(exchange, body, { ...request, handoff: left.handoff });
      }
      if (body.stream === true) {
        return await stream(exchange, body, request, () =>
          sideChannel.delete(String(params?.["remote_request_id"])),
        );
      }
      return exchange.json(200, await whole(request, exchange.signal, isPrefill));
    } catch (error) {
      if (exchange.signal.aborted) return;
      const { kind, message } = StatorError.from(error);
      fail(exchange, kind === "invalid" ? 400 : kind === "overloaded" ? 503 : 500, message);
    }
  }

  async function whole(request: GenerateRequest, signal: AbortSignal, isPrefill: boolean): Promise<unknown> {
    const ids: number[] = [];
    let params: unknown;
    let cached = 0;
    for await (const batch of engine.generate(request, { signal })) {
      ids.push(...batch.ids);
      cached = batch.cachedTokens ?? cached;
      if (batch.handoff !== undefined) params = paramsOf(batch.handoff);
    }
    return {
      choices: [
        { index: 0, text: "", token_ids: ids, finish_reason: "length", stop_reason: null, logprobs: null },
      ],
      usage: {
        prompt_tokens: request.promptIds.length,
        completion_tokens: ids.length,
        prompt_tokens_details: { cached_tokens: cached },
      },
      ...(isPrefill ? { kv_transfer_params: params ?? null } : {}),
    };
  }

  /** Prefill that pushes its KV to the room. */
  async function pushed(
    request: GenerateRequest,
    signal: AbortSignal,
    rooms: MeetingRooms,
    room: string,
  ): Promise<unknown> {
    try {
      for await (const { handoff } of engine.generate(request, { signal })) {
        if (handoff !== undefined)
          rooms.leave(room, {
            type: "handoff",
            handoff: { ...handoff, firstIds: [], firstEmittedBy: "nobody" },
          });
      }
    } catch (error) {
      rooms.leave(room, { type: "failed", message: String(error) });
      throw error;
    }
    return { choices: [{ index: 0, text: "", token_ids: [0], finish_reason: "length", stop_reason: null }] };
  }

  function paramsOf(handoff: Handoff): unknown {
    const id = randomUUID();
    // vLLM's decode samples the first token itself.
    sideChannel.set(id, { ...handoff, firstIds: [], firstEmittedBy: "nobody" });
    offered.set(id, Math.ceil(handoff.heldTokens / (engine.card?.blockTokens ?? 16)));
    setTimeout(() => sideChannel.delete(id), holdMs).unref();
    return {
      do_remote_prefill: true,
      do_remote_decode: false,
      // Ids beyond 2^53 and nested lists must come back as they were.
      remote_block_ids: era === "0.29" ? [[1, 2, 3]] : [1, 2, 3],
      remote_engine_id: randomUUID(),
      remote_host: "127.0.0.1",
      remote_port: 5600,
      tp_size: 1,
      remote_request_id: id,
      opaque_number: 9_007_199_254_740_993n,
    };
  }

  async function stream(
    exchange: Exchange,
    body: CompletionBody,
    request: GenerateRequest,
    onRead: () => void = () => {},
  ): Promise<void> {
    let sent = 0;
    let cached = 0;
    let isFirst = true;
    for await (const batch of engine.generate(request, { signal: exchange.signal })) {
      if (isFirst) onRead();
      cached = request.handoff === undefined ? (batch.cachedTokens ?? cached) : request.promptIds.length - 1;
      for (let i = 0; i < batch.ids.length; i++) {
        const isLast = i === batch.ids.length - 1;
        if (options.fault !== undefined && sent >= options.fault.afterTokens)
          return misbehave(exchange, options.fault.how);
        exchange.event({ choices: [choiceOf(body, request, batch, i, isLast, isFirst)] });
        isFirst = false;
        sent += 1;
      }
      if (batch.ids.length === 0 && batch.finish !== undefined)
        exchange.event({
          choices: [
            { index: 0, text: "", token_ids: [], finish_reason: batch.finish.reason, stop_reason: null },
          ],
        });
    }
    await publish(request);
    if (body.stream_options?.include_usage === true) {
      exchange.event({
        choices: [],
        usage: {
          prompt_tokens: request.promptIds.length,
          completion_tokens: sent,
          prompt_tokens_details: { cached_tokens: cached },
        },
      });
    }
    exchange.event("[DONE]", { raw: true });
    exchange.end();
  }

  function choiceOf(
    body: CompletionBody,
    request: GenerateRequest,
    batch: TokenBatch,
    i: number,
    isLast: boolean,
    isFirst: boolean,
  ): unknown {
    const id = batch.ids[i]!;
    const finish = isLast ? batch.finish : undefined;
    const logprob = batch.logprobs?.[i];
    const asIds = body.return_tokens_as_token_ids === true;
    return {
      index: 0,
      text: "x",
      ...(era === "0.10.0" || body.return_token_ids !== true
        ? {}
        : { token_ids: [id], ...(isFirst ? { prompt_token_ids: [...request.promptIds] } : {}) }),
      finish_reason: finish?.reason ?? null,
      // An end-of-sequence id has no stop reason; a stop id of the request is told.
      stop_reason:
        finish?.stopId !== undefined && body.stop_token_ids?.includes(finish.stopId) === true
          ? finish.stopId
          : null,
      logprobs:
        body.logprobs === undefined
          ? null
          : {
              tokens: [asIds ? `token_id:${id}` : "x"],
              token_logprobs: [logprob?.logprob ?? 0],
              top_logprobs: [
                Object.fromEntries((logprob?.top ?? []).map((top) => [`token_id:${top.id}`, top.logprob])),
              ],
            },
    };
  }

  function misbehave(exchange: Exchange, how: "cut" | "errorInStream" | "vanish"): void {
    if (how === "cut") return exchange.cut();
    if (how === "errorInStream")
      exchange.event({ error: { message: "EngineCore died", type: "InternalServerError", code: 500 } });
    exchange.end();
  }
}

function metricsOf(
  engine: Engine,
  status: EngineStatus | undefined,
  model: string,
  era: string,
  heldBlocks: number,
): string {
  const usage = era === "0.29" ? "vllm:kv_cache_usage_perc" : "vllm:gpu_cache_usage_perc";
  const labels = `{model_name="${model}",engine="0"}`;
  const load = status?.load;
  return [
    `vllm:cache_config_info{block_size="${engine.card?.blockTokens}",num_gpu_blocks="${load?.kvBlocksTotal ?? 100}",engine="0"} 1`,
    `vllm:num_requests_running${labels} ${load?.running ?? 0}`,
    `vllm:num_requests_waiting${labels} ${load?.waiting ?? 0}`,
    `${usage}${labels} ${load === undefined ? 0 : (load.kvBlocksUsed + heldBlocks) / Math.max(1, load.kvBlocksTotal)}`,
    "",
  ].join("\n");
}
