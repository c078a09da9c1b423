import type { GenerateRequest, TokenBatch } from "@stator/core";

/**
 * Ends a stream at the request's stop ids where the server does not: SGLang's `ignore_eos` makes it ignore
 * `stop_token_ids` too (0.5.23). Leaving the stream closes the connection, which stops the server.
 */
export async function* endedByStopIds(
  request: GenerateRequest,
  batches: AsyncIterable<TokenBatch>,
): AsyncGenerator<TokenBatch> {
  const { stopIds, ignoreEos, minTokens = 0 } = request.limits;
  if (ignoreEos !== true || stopIds === undefined || stopIds.length === 0) {
    yield* batches;
    return;
  }
  for await (const batch of batches) {
    const ids = [...batch.ids];
    const at = ids.findIndex((id, i) => batch.firstIndex + i + 1 >= minTokens && stopIds.includes(id));
    if (at < 0) {
      yield batch;
      continue;
    }
    yield {
      ...batch,
      ids: ids.slice(0, at + 1),
      ...(batch.logprobs === undefined ? {} : { logprobs: batch.logprobs.slice(0, at + 1) }),
      finish: { reason: "stop", stopId: ids[at]! },
    };
    return;
  }
}
