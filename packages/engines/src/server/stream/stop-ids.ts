import type { GenerateRequest, TokenBatch } from "@stator/core";

/**
 * Ends a stream at the request's stop ids where the server does not: SGLang's `ignore_eos` makes it ignore
 * `stop_token_ids` too (0.5.23). Leaving the stream closes the connection, which stops the server.
 */
export function endedByStopIds(request: GenerateRequest): (batch: TokenBatch) => TokenBatch {
  const { stopIds, ignoreEos, minTokens = 0 } = request.limits;
  if (ignoreEos !== true || stopIds === undefined || stopIds.length === 0) return (batch) => batch;
  return (batch) => {
    const ids = [...batch.ids];
    const at = ids.findIndex((id, i) => batch.firstIndex + i + 1 >= minTokens && stopIds.includes(id));
    if (at < 0) return batch;
    return {
      ...batch,
      ids: ids.slice(0, at + 1),
      ...(batch.logprobs === undefined ? {} : { logprobs: batch.logprobs.slice(0, at + 1) }),
      finish: { reason: "stop", stopId: ids[at]! },
    };
  };
}
