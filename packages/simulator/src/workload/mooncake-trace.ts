import { z } from "zod";
import type { TraceRequest } from "./trace-request.ts";

const lineSchema = z.object({
  timestamp: z.number().nonnegative(),
  input_length: z.number().int().positive(),
  output_length: z.number().int().nonnegative(),
  hash_ids: z.array(z.number().int().nonnegative()),
});

/**
 * Reads Mooncake's trace format (kvcache-ai/Mooncake, FAST25-release): one JSON object a line with `timestamp` (ms),
 * `input_length`, `output_length` and `hash_ids` of 512-token blocks. Arrivals are sorted; equal stamps keep their order.
 *
 * @throws RangeError with the line number when a line does not fit the format.
 */
export function parseMooncakeTrace(text: string): TraceRequest[] {
  const requests: TraceRequest[] = [];
  text.split("\n").forEach((line, index) => {
    if (line.trim() === "") return;
    let parsed;
    try {
      parsed = lineSchema.parse(JSON.parse(line));
    } catch (cause) {
      throw new RangeError(`Line ${index + 1} is no Mooncake trace record: ${line.slice(0, 80)}`, { cause });
    }
    requests.push({
      atMs: parsed.timestamp,
      inputTokens: parsed.input_length,
      outputTokens: parsed.output_length,
      blockIds: parsed.hash_ids,
    });
  });
  return requests.sort((a, b) => a.atMs - b.atMs);
}

/** Writes requests in Mooncake's trace format. */
export function formatMooncakeTrace(requests: readonly TraceRequest[]): string {
  return requests
    .map((request) =>
      JSON.stringify({
        timestamp: Math.round(request.atMs),
        input_length: request.inputTokens,
        output_length: request.outputTokens,
        hash_ids: request.blockIds,
      }),
    )
    .join("\n")
    .concat("\n");
}
