import { z } from "zod";
import { simulatorError } from "../simulator-error.ts";
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
 * @throws SimulatorError `SIMULATOR_RUN_INVALID` with the line number when a line does not fit the format.
 */
export function parseMooncakeTrace(text: string): TraceRequest[] {
  const requests: TraceRequest[] = [];
  text.split("\n").forEach((line, index) => {
    if (line.trim() === "") return;
    let parsed;
    try {
      parsed = lineSchema.parse(JSON.parse(line));
    } catch {
      throw simulatorError(
        "SIMULATOR_RUN_INVALID",
        `Line ${index + 1} of the trace is no request in Mooncake's format ({"timestamp": ms, "input_length": 1 or more, "output_length": tokens, "hash_ids": […]}): ${line.slice(0, 80)}`,
      );
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
