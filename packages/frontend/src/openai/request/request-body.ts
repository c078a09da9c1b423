import type { OffLoop } from "../../text/off-loop/off-loop.ts";
import { mediaTypeUnsupported } from "../errors/api-errors.ts";
import type { Exchange } from "../exchange.ts";
import { parseJsonBody } from "./json-body.ts";
import type { OpenAILimits } from "../limits.ts";

/** Reads and parses a JSON body; long ones in the thread. */
export async function readRequestBody(
  exchange: Exchange,
  limits: Required<OpenAILimits>,
  offLoop: OffLoop,
  signal: AbortSignal,
  onBytes: (bytes: number) => void,
): Promise<unknown> {
  const type = exchange.header("content-type");
  if (type !== undefined && !/^application\/(json|[\w.-]+\+json)\s*(;|$)/i.test(type)) {
    throw mediaTypeUnsupported("The content-type must be application/json.");
  }
  const encoding = exchange.header("content-encoding");
  if (encoding !== undefined && encoding.toLowerCase() !== "identity") {
    throw mediaTypeUnsupported(
      "Compressed request bodies are not accepted. Send it without content-encoding.",
    );
  }
  const bytes = await exchange.readBody(limits.bodyBytes, onBytes);
  const bodyLimits = { depth: limits.jsonDepth, keys: limits.objectKeys };
  return bytes.length > limits.inlineParseBytes
    ? offLoop.parse(bytes, bodyLimits, signal)
    : parseJsonBody(bytes, bodyLimits);
}
