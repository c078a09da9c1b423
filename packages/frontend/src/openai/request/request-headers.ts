import { extended } from "@stator/core";
import type { Exchange } from "../exchange.ts";
import type { RequestContext } from "../generations.ts";

const requestId = /^[\w.:/+=-]{1,128}$/;
/** W3C trace context, version 00; all-zero ids are invalid. */
const traceContext = /^00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$/;

/** The headers of the answer, and the trace to go on with. A client's own request id comes back if it is harmless. */
export function requestHeaders(
  exchange: Exchange,
  more: Readonly<Record<string, string>> = {},
): RequestContext {
  const given = exchange.header("x-request-id");
  const trace = exchange.header("traceparent");
  return {
    headers: extended(more, {
      "x-request-id": given !== undefined && requestId.test(given) ? given : crypto.randomUUID(),
    }),
    traceparent: trace !== undefined && traceContext.test(trace) ? trace : undefined,
  };
}
