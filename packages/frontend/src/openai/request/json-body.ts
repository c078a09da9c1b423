import { FrontendError } from "../../errors.ts";

export interface JsonBodyLimits {
  /** Nesting of arrays and objects. */
  readonly depth: number;
  /** Keys of one object. */
  readonly keys: number;
}

/**
 * Bytes to a JSON value, stricter than `JSON.parse`: the bytes must be UTF-8 without a byte order mark, no object may say
 * a key twice, nesting is bounded before anything is built, and a top-level integer `seed` keeps all its 64 bits (as a
 * bigint) where a double would round it.
 *
 * @throws FrontendError `FRONTEND_BODY_INVALID`, `FRONTEND_JSON_TOO_DEEP`.
 */
export function parseJsonBody(bytes: Uint8Array, limits: JsonBodyLimits): unknown {
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    throw invalidBody("The request body is not valid UTF-8.", cause);
  }
  const scan = scanJson(text, limits);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    // The engine's own message quotes the body; what a client sent must not come back in logs.
    throw invalidBody("The request body is not valid JSON.", cause);
  }
  if (scan.seed !== undefined && typeof value === "object" && value !== null)
    (value as { seed: unknown }).seed = BigInt(scan.seed);
  return value;
}

function invalidBody(message: string, cause?: unknown): FrontendError {
  return new FrontendError({ code: "FRONTEND_BODY_INVALID", kind: "invalid", message, cause });
}

const quote = 0x22;
const backslash = 0x5c;

/** One pass over the text: depth, repeated keys, and where a top-level `seed` stands. Well-formedness is JSON.parse's. */
function scanJson(
  text: string,
  { depth: maxDepth, keys: maxKeys }: JsonBodyLimits,
): { readonly seed: string | undefined } {
  const keys: (Set<string> | undefined)[] = [];
  let isKey = false;
  let seed: string | undefined;
  for (let i = 0; i < text.length; i++) {
    switch (text.charCodeAt(i)) {
      case quote: {
        const start = i;
        i = endOfString(text, i);
        const seen = keys[keys.length - 1];
        if (!isKey || seen === undefined) break;
        isKey = false;
        const key = keyAt(text, start, i);
        if (seen.has(key)) {
          const shown = JSON.stringify(key.slice(0, 64));
          throw invalidBody(`The request body says the key ${shown} twice in one object.`);
        }
        seen.add(key);
        if (seen.size > maxKeys)
          throw invalidBody(`The request body has an object with more than ${maxKeys} keys.`);
        if (keys.length === 1 && key === "seed")
          seed = /^\s*:\s*(-?[1-9]\d*|0)\s*[,}]/.exec(text.slice(i + 1, i + 128))?.[1];
        break;
      }
      case 0x7b: // {
        keys.push(new Set());
        isKey = true;
        checkDepth(keys.length, maxDepth);
        break;
      case 0x5b: // [
        keys.push(undefined);
        checkDepth(keys.length, maxDepth);
        break;
      case 0x7d: // }
      case 0x5d: // ]
        keys.pop();
        isKey = false;
        break;
      case 0x2c: // ,
        isKey = keys[keys.length - 1] !== undefined;
        break;
    }
  }
  return { seed };
}

/** Index of the closing quote of the string that opens at `open`, or the end of the text. */
function endOfString(text: string, open: number): number {
  let at = open;
  for (;;) {
    at = text.indexOf('"', at + 1);
    if (at < 0) return text.length;
    let slashes = 0;
    while (text.charCodeAt(at - 1 - slashes) === backslash) slashes++;
    if (slashes % 2 === 0) return at;
  }
}

function keyAt(text: string, open: number, close: number): string {
  const raw = text.slice(open + 1, close);
  if (!raw.includes("\\")) return raw;
  try {
    return JSON.parse(`"${raw}"`) as string;
  } catch {
    return raw;
  }
}

function checkDepth(depth: number, maxDepth: number): void {
  if (depth > maxDepth) {
    throw new FrontendError({
      code: "FRONTEND_JSON_TOO_DEEP",
      kind: "invalid",
      message: `The request body nests deeper than ${maxDepth} levels.`,
    });
  }
}
