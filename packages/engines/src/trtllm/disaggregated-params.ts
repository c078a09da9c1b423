import type { GenerateRequest, Handoff, TokenBatch } from "@stator/core";
import { EnginesError } from "../errors/engines-error.ts";
import { parseExactJson, stringifyExactJson } from "../server/http/exact-json.ts";
import {
  finishOf,
  resumedPrompt,
  type CompletionChoice,
  type CompletionChunk,
} from "../server/stream/openai-stream.ts";

/** TensorRT-LLM's connector: context first, generation after it. */
export const trtllmConnector: string = "trtllm-context";

/** An answer of a context server. */
export interface ContextAnswer extends CompletionChunk {
  readonly prompt_token_ids?: readonly number[] | null;
  readonly choices?: readonly (CompletionChoice & {
    readonly disaggregated_params?: Readonly<Record<string, unknown>> | null;
  })[];
}

interface Opaque {
  readonly params: Readonly<Record<string, unknown>>;
  readonly promptIds: readonly number[] | undefined;
}

/**
 * What a context answer stands for: the end of the request, when its first token ended it, or the handoff. The generation
 * server says the first token again, so prefill keeps it to itself.
 */
export function batchOfContext(server: string, request: GenerateRequest, answer: ContextAnswer): TokenBatch {
  const choice = answer.choices?.[0];
  const params = choice?.disaggregated_params ?? undefined;
  const firstIds = (params?.["first_gen_tokens"] ?? choice?.token_ids ?? []) as readonly number[];
  const cachedTokens = answer.usage?.prompt_tokens_details?.cached_tokens;
  const cached = cachedTokens === undefined ? {} : { cachedTokens };
  const firstIndex = request.outputIds.length;
  const reason = choice?.finish_reason;
  if (choice !== undefined && reason !== "length" && reason !== "not_finished") {
    const finish = finishOf(server, choice, firstIds.at(-1));
    if (finish !== undefined) return { firstIndex, ids: firstIds, finish, ...cached };
  }
  if (params === undefined) {
    throw new EnginesError({
      code: "ENGINES_HANDOFF_FAILED",
      kind: "unavailable",
      message: `${server} answered context_only without disaggregated_params; start it with a cache_transceiver_config.`,
    });
  }
  const opaque: Opaque = { params, promptIds: answer.prompt_token_ids ?? undefined };
  return {
    firstIndex,
    ids: [],
    ...cached,
    handoff: {
      connector: trtllmConnector,
      style: "sequential",
      opaque: new TextEncoder().encode(stringifyExactJson(opaque)),
      heldTokens: request.promptIds.length + request.outputIds.length,
      firstIds: [...request.outputIds, ...firstIds],
      firstEmittedBy: "decode",
      compatibilityDigest: "",
    },
  };
}

/**
 * What the generation server is told beside the prompt.
 *
 * @throws EnginesError `ENGINES_HANDOFF_INCOMPATIBLE` when the KV is of another prompt: the server would not notice.
 */
export function generationFields(request: GenerateRequest, handoff: Handoff): Record<string, unknown> {
  const { params, promptIds } = parseExactJson(new TextDecoder().decode(handoff.opaque)) as Opaque;
  const own = resumedPrompt(request);
  if (
    promptIds !== undefined &&
    (promptIds.length !== own.length || promptIds.some((id, i) => id !== own[i]))
  ) {
    throw new EnginesError({
      code: "ENGINES_HANDOFF_INCOMPATIBLE",
      kind: "incompatible",
      message: `The handed-over KV is of another prompt (${promptIds.length} tokens) than request ${request.id} has (${own.length}).`,
    });
  }
  return { disaggregated_params: { ...params, request_type: "generation_only" } };
}

/** The request as prefill saw it: the generation server says the first ids again, so they are no part of its prompt. */
export function beforeFirstIds(request: GenerateRequest, handoff: Handoff): GenerateRequest {
  const outputs = Math.max(0, handoff.heldTokens - request.promptIds.length);
  return outputs >= request.outputIds.length
    ? request
    : { ...request, outputIds: request.outputIds.slice(0, outputs) };
}

/** A batch without what the caller has already; undefined when nothing is left of it. */
export function withoutSeen(batch: TokenBatch, firstIndex: number): TokenBatch | undefined {
  const seen = Math.max(0, firstIndex - batch.firstIndex);
  if (seen === 0) return batch;
  if (seen >= batch.ids.length && batch.finish === undefined) return undefined;
  return {
    ...batch,
    firstIndex,
    ids: batch.ids.slice(seen),
    ...(batch.logprobs === undefined ? {} : { logprobs: batch.logprobs.slice(seen) }),
  };
}
