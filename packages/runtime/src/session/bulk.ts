import type { FetchResponse } from "@stator/contracts";
import { RuntimeError } from "../runtime-error.ts";
import { longestBulkBytes } from "./limits.ts";

/** The bytes of a bulk answer, at most 64 MiB. */
export async function collectBytes(answer: AsyncIterable<FetchResponse>): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let total = 0;
  for await (const { data } of answer) {
    total += data.length;
    if (total > longestBulkBytes) {
      throw new RuntimeError({
        code: "RUNTIME_REQUEST_TOO_LARGE",
        kind: "invalid",
        message: `A bulk answer exceeds ${longestBulkBytes} bytes.`,
      });
    }
    parts.push(data);
  }
  const bytes = new Uint8Array(total);
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}
