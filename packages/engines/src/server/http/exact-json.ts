/** JSON whose integers beyond 2^53 survive: they are read as `bigint` and written as digits. */

const bigMark = "\u0000int:";

/** Parses JSON; integers that a double cannot hold become `bigint`. Engines use 64-bit ids and rooms. */
export function parseExactJson(text: string): unknown {
  // A run of digits after a point is a fraction: chunks with log probabilities are full of them.
  if (!/(?:^|[^.\d])\d{16}/.test(text)) return JSON.parse(text);
  return JSON.parse(quoteBigIntegers(text), (_key, value: unknown) =>
    typeof value === "string" && value.startsWith(bigMark) ? BigInt(value.slice(bigMark.length)) : value,
  );
}

/** Writes JSON; `bigint` values become plain integers, lists of ids (`Uint32Array`) plain lists. */
export function stringifyExactJson(value: unknown): string {
  if (!hasIds(value)) return stringified(value);
  // A prompt is nearly all of a request: its ids go past the replacer, which is called for each value.
  const members = Object.entries(value).flatMap(([key, member]) => {
    if (member === undefined) return [];
    const text = member instanceof Uint32Array ? `[${member.join(",")}]` : stringified(member);
    return [`${JSON.stringify(key)}:${text}`];
  });
  return `{${members.join(",")}}`;
}

function hasIds(value: unknown): value is object {
  if (typeof value !== "object" || value === null || Object.getPrototypeOf(value) !== Object.prototype)
    return false;
  return Object.values(value).some((member) => member instanceof Uint32Array);
}

function stringified(value: unknown): string {
  let hasBig = false;
  const text = JSON.stringify(value, (_key, inner: unknown) => {
    if (typeof inner !== "bigint") return inner;
    hasBig = true;
    return `${bigMark}${inner}`;
  });
  return hasBig ? text.replaceAll(/"\\u0000int:(-?\d+)"/g, "$1") : text;
}

function quoteBigIntegers(text: string): string {
  let result = "";
  let copied = 0;
  let at = 0;
  while (at < text.length) {
    const code = text.charCodeAt(at);
    if (code === 0x22) {
      at = endOfString(text, at);
      continue;
    }
    const isNumber = code === 0x2d || (code >= 0x30 && code <= 0x39);
    if (!isNumber) {
      at += 1;
      continue;
    }
    const start = at;
    while (at < text.length && /[-+.eE0-9]/.test(text[at]!)) at += 1;
    const digits = text.slice(start, at);
    if (digits.length < 16 || !/^-?\d+$/.test(digits) || Number.isSafeInteger(Number(digits))) continue;
    result += `${text.slice(copied, start)}"\\u0000int:${digits}"`;
    copied = at;
  }
  return result + text.slice(copied);
}

function endOfString(text: string, start: number): number {
  let at = start + 1;
  while (at < text.length) {
    const code = text.charCodeAt(at);
    if (code === 0x5c) at += 2;
    else if (code === 0x22) return at + 1;
    else at += 1;
  }
  return at;
}
