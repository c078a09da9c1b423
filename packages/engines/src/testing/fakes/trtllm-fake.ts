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
import { startHttpFake, type EngineFake, type Exchange } from "./http-fake.ts";

export interface TrtllmFakeOptions {
  /** What computes the tokens. */
  readonly engine: Engine;
  readonly model?: string;
  /** KV on its way, shared by the context and the generation fake: stands for the cache transceiver. */
  readonly transceiver?: Map<string, Handoff>;
  /** After this many output tokens: break off, or end without `[DONE]` and finish reason. */
  readonly fault?: { readonly afterTokens: number; readonly how: "cut" | "vanish" };
  /** The first token of every context answer ends it with this reason. */
  readonly contextEnds?: "stop";
  /** What `POST /kv_cache_events` gives, once. */
  readonly kvEvents?: unknown[];
}

/** A server that speaks trtllm-serve's contract, drained-on-read endpoints included, over any engine. */
export function startTrtllmFake(options: TrtllmFakeOptions): Promise<EngineFake> {
  const { engine, transceiver = new Map<string, Handoff>() } = options;
  const name = options.model ?? engine.card?.model ?? "model";
  let iterations: unknown[] = [];
  const iterate = (status: EngineStatus | undefined): void => {
    iterations.push({
      iter: status?.step ?? 0,
      numActiveRequests: status?.load.running ?? 0,
      numQueuedRequests: status?.load.waiting ?? 0,
      kvCacheStats: {
        maxNumBlocks: status?.load.kvBlocksTotal ?? 100,
        usedNumBlocks: status?.load.kvBlocksUsed ?? 0,
        tokensPerBlock: engine.card?.blockTokens,
      },
    });
    iterations = iterations.slice(-1_000);
  };
  iterate(undefined);
  engine.onStatus?.(iterate);

  return startHttpFake(async (exchange) => {
    switch (exchange.path) {
      case "/health":
        return exchange.text(200, "");
      case "/v1/models":
        return exchange.json(200, { data: [{ id: name }] });
      case "/server_info":
        return exchange.json(200, { max_seq_len: engine.card?.contextTokens });
      case "/metrics":
        return exchange.json(200, iterations.splice(0));
      case "/kv_cache_events":
        return exchange.json(200, options.kvEvents?.splice(0) ?? []);
      case "/v1/completions":
        return complete(exchange, exchange.body as CompletionBody);
      default:
        return fail(exchange, 404, `no route ${exchange.path}`);
    }
  });

  function fail(exchange: Exchange, code: number, message: string): void {
    exchange.json(code, { object: "error", message, type: "BadRequestError", param: null, code });
  }

  async function complete(exchange: Exchange, body: CompletionBody): Promise<void> {
    const promptIds = body.prompt ?? [];
    if (body.model !== name) return fail(exchange, 404, `no model ${body.model}`);
    if (promptIds.length === 0) return fail(exchange, 400, "prompt is empty");
    if (promptIds.length >= (engine.card?.contextTokens ?? Infinity))
      return fail(exchange, 400, "prompt is too long");
    const params = body.disaggregated_params ?? undefined;
    const isContext = params?.["request_type"] === "context_only";
    const handoff =
      params?.["request_type"] === "generation_only"
        ? transceiver.get(String(params["ctx_request_id"]))
        : undefined;
    if (params?.["request_type"] === "generation_only" && handoff === undefined)
      return fail(exchange, 500, `no KV of context request ${String(params["ctx_request_id"])}`);
    const request = requestOfBody(body, promptIds, false, handoff);
    try {
      if (isContext)
        return exchange.json(200, await context({ ...request, mode: "prefill" }, exchange.signal));
      if (body.stream === true) return await stream(exchange, body, request);
      return fail(exchange, 400, "this fake streams");
    } catch (error) {
      if (exchange.signal.aborted) return;
      const { kind, message } = StatorError.from(error);
      fail(exchange, kind === "invalid" ? 400 : 500, message);
    }
  }

  async function context(request: GenerateRequest, signal: AbortSignal): Promise<unknown> {
    const ids: number[] = [];
    let handoff: Handoff | undefined;
    let finish: TokenBatch["finish"];
    for await (const batch of engine.generate(request, { signal })) {
      ids.push(...batch.ids);
      handoff = batch.handoff ?? handoff;
      finish = batch.finish;
    }
    const id = BigInt(`0x${randomUUID().replaceAll("-", "").slice(0, 15)}`);
    if (handoff !== undefined) transceiver.set(String(id), { ...handoff, firstEmittedBy: "decode" });
    const hasEnded = options.contextEnds !== undefined || finish?.reason === "stop";
    return {
      choices: [
        {
          index: 0,
          text: "",
          token_ids: ids,
          finish_reason: hasEnded ? "stop" : handoff === undefined ? "length" : "not_finished",
          stop_reason: null,
          disaggregated_params: {
            request_type: "context_only",
            first_gen_tokens: ids,
            ctx_request_id: id,
            encoded_opaque_state: "b3BhcXVl",
            draft_tokens: null,
          },
        },
      ],
      prompt_token_ids: [...request.promptIds],
      usage: { prompt_tokens: request.promptIds.length, completion_tokens: ids.length },
    };
  }

  async function stream(exchange: Exchange, body: CompletionBody, request: GenerateRequest): Promise<void> {
    let sent = 0;
    for await (const batch of engine.generate(request, { signal: exchange.signal })) {
      for (const [i, id] of [...batch.ids].entries()) {
        if (options.fault !== undefined && sent >= options.fault.afterTokens) {
          if (options.fault.how === "cut") exchange.cut();
          else exchange.end();
          return;
        }
        const finish = i === batch.ids.length - 1 ? batch.finish : undefined;
        const isStopWord =
          finish?.stopId !== undefined && body.stop_token_ids?.includes(finish.stopId) === true;
        const logprob = batch.logprobs?.[i];
        exchange.event({
          choices: [
            {
              index: 0,
              text: "",
              // Stop words are cut off its output.
              token_ids: isStopWord && body.logprobs === undefined ? [] : [id],
              finish_reason: finish?.reason ?? null,
              stop_reason: isStopWord ? finish.stopId : null,
              ...(body.logprobs === undefined
                ? {}
                : {
                    logprobs: {
                      tokens: ["x"],
                      token_logprobs: [logprob?.logprob ?? 0],
                      top_logprobs: [
                        Object.fromEntries(
                          (logprob?.top ?? []).map((top) => [`token_id:${top.id}`, top.logprob]),
                        ),
                      ],
                    },
                  }),
            },
          ],
        });
        sent += 1;
      }
    }
    exchange.event({
      choices: [],
      usage: { prompt_tokens: request.promptIds.length, completion_tokens: sent },
    });
    exchange.event("[DONE]", { raw: true });
    exchange.end();
  }
}
