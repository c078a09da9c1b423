import type { Exchange } from "./exchange.ts";
import { invalidOption } from "./errors/option-error.ts";

/** What a browser must hear before it lets a page of another origin call, or read an answer. */
export interface Cors {
  /** Headers of every answer to this exchange; none for an origin that is not allowed. */
  headers(exchange: Exchange): Readonly<Record<string, string>>;
  /** Answers a preflight request; false if it is none, or its origin is not allowed. */
  preflight(exchange: Exchange): boolean;
}

const neverAllowed: Cors = { headers: () => ({}), preflight: () => false };

/** @throws FrontendError `FRONTEND_OPTION_INVALID` for what is no origin, such as one with a path. */
export function createCors(origins: readonly string[] | "*" | undefined): Cors {
  if (origins === undefined || origins.length === 0) return neverAllowed;
  if (origins !== "*") {
    for (const origin of origins) {
      if (safeOrigin(origin) !== origin)
        throw invalidOption("corsOrigins", origin, 'origins like "https://chat.example", or "*"');
    }
  }
  const allowed = origins === "*" ? undefined : new Set(origins);
  const headers = (exchange: Exchange): Readonly<Record<string, string>> => {
    const origin = exchange.header("origin");
    if (origin === undefined || allowed?.has(origin) === false) return {};
    return {
      "access-control-allow-origin": allowed === undefined ? "*" : origin,
      "access-control-expose-headers": "x-request-id, x-stator-decision, retry-after",
      vary: "origin",
    };
  };
  return {
    headers,
    preflight(exchange) {
      if (exchange.method !== "OPTIONS" || exchange.header("access-control-request-method") === undefined)
        return false;
      const answer = headers(exchange);
      if (answer["access-control-allow-origin"] === undefined) return false;
      const asked = exchange.header("access-control-request-headers");
      exchange.reply(
        204,
        {
          ...answer,
          "access-control-allow-methods": "GET, HEAD, POST",
          "access-control-allow-headers": asked ?? "authorization, content-type",
          "access-control-max-age": "86400",
        },
        "",
      );
      return true;
    },
  };
}

function safeOrigin(text: string): string | undefined {
  try {
    return new URL(text).origin;
  } catch {
    return undefined;
  }
}
