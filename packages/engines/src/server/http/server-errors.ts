import { EnginesError, type EnginesErrorCode } from "../../errors/engines-error.ts";
import { parseExactJson } from "./exact-json.ts";

/**
 * The error that an engine server's answer stands for. Accepts both body shapes: `{ error: { message, code } }` and the
 * same fields at the top level.
 *
 * @param status HTTP status, or the `code` of an error inside a 200 stream
 */
export function serverError(server: string, status: number, body: string): EnginesError {
  const message = messageOf(body);
  const data = { server, status };
  const make = (code: EnginesErrorCode, kind: EnginesError["kind"], text: string): EnginesError =>
    new EnginesError({ code, kind, message: text, data });
  if (status === 429 || status === 503)
    return make("ENGINES_SERVER_BUSY", "overloaded", `${server} is at capacity: ${message}`);
  if (status === 404)
    return make("ENGINES_SERVER_REFUSED", "notFound", `${server} does not know this: ${message}`);
  if (status === 401 || status === 403)
    return make(
      "ENGINES_SERVER_REFUSED",
      "unauthorized",
      `${server} refuses us: ${message}. Check its API key.`,
    );
  if (status >= 400 && status < 500)
    return make("ENGINES_SERVER_REFUSED", "invalid", `${server} refused the request: ${message}`);
  return make("ENGINES_SERVER_FAILED", "unavailable", `${server} failed (${status}): ${message}`);
}

/** The error for a server that cannot be reached, or went away in the middle. */
export function serverGone(server: string, cause: unknown, hasStarted: boolean): EnginesError {
  const reason =
    cause instanceof Error ? ((cause.cause as Error | undefined)?.message ?? cause.message) : String(cause);
  return new EnginesError({
    code: hasStarted ? "ENGINES_SERVER_FAILED" : "ENGINES_SERVER_UNREACHABLE",
    kind: "unavailable",
    message: hasStarted
      ? `${server} broke off: ${reason}`
      : `${server} cannot be reached: ${reason}. Is it up, and is the address right?`,
    cause,
    data: { server, observation: hasStarted ? "cut" : "neverStarted" },
  });
}

function messageOf(body: string): string {
  try {
    const parsed = parseExactJson(body) as {
      message?: unknown;
      error?: { message?: unknown } | string;
    } | null;
    const found =
      typeof parsed?.error === "object" ? parsed.error.message : (parsed?.error ?? parsed?.message);
    if (typeof found === "string") return found.slice(0, 500);
  } catch {
    // Not JSON: the text itself is the message.
  }
  return body.trim().slice(0, 500) || "no message";
}
