import { randomUUID } from "node:crypto";
import { createRequest, type GenerateRequest, type Handoff } from "@stator/core";

/** A `/v1/completions` body, as vLLM and TensorRT-LLM name its fields. */
export interface CompletionBody {
  readonly model?: string;
  readonly prompt?: readonly number[];
  readonly max_tokens?: number;
  readonly min_tokens?: number;
  readonly temperature?: number;
  readonly top_p?: number;
  readonly top_k?: number;
  readonly min_p?: number;
  readonly seed?: number | bigint;
  readonly presence_penalty?: number;
  readonly frequency_penalty?: number;
  readonly repetition_penalty?: number;
  readonly logit_bias?: Readonly<Record<string, number>>;
  readonly stop_token_ids?: readonly number[];
  readonly ignore_eos?: boolean;
  readonly logprobs?: number;
  readonly stream?: boolean;
  readonly stream_options?: { readonly include_usage?: boolean };
  readonly return_token_ids?: boolean;
  readonly return_tokens_as_token_ids?: boolean;
  readonly disaggregated_params?: Readonly<Record<string, unknown>> | null;
  readonly kv_transfer_params?: Readonly<Record<string, unknown>> | null;
}

/** The request that a completion body stands for. */
export function requestOfBody(
  body: CompletionBody,
  promptIds: readonly number[],
  isPrefill: boolean,
  handoff: Handoff | undefined,
): GenerateRequest {
  return createRequest({
    id: randomUUID(),
    model: body.model ?? "",
    promptIds: Uint32Array.from(promptIds),
    mode: isPrefill ? "prefill" : "full",
    sampling: {
      temperature: body.temperature ?? 1,
      topP: body.top_p ?? 1,
      topK: body.top_k ?? 0,
      minP: body.min_p ?? 0,
      seed: BigInt.asUintN(64, BigInt(body.seed ?? 0)),
      presencePenalty: body.presence_penalty ?? 0,
      frequencyPenalty: body.frequency_penalty ?? 0,
      repetitionPenalty: body.repetition_penalty ?? 1,
      ...(body.logit_bias === undefined
        ? {}
        : { logitBias: new Map(Object.entries(body.logit_bias).map(([id, bias]) => [Number(id), bias])) }),
    },
    limits: {
      // The one token of a prefill call is thrown away: it ends nothing.
      maxTokens: isPrefill ? 1_000 : (body.max_tokens ?? 16),
      ...(body.min_tokens === undefined ? {} : { minTokens: body.min_tokens }),
      ...(body.stop_token_ids === undefined ? {} : { stopIds: body.stop_token_ids }),
      ...(body.ignore_eos === undefined ? {} : { ignoreEos: body.ignore_eos }),
    },
    ...(body.logprobs === undefined ? {} : { topLogprobs: body.logprobs }),
    ...(handoff === undefined ? {} : { handoff }),
  });
}
