/** What changes from one plain event to the next; everything else is the same bytes. */
export interface TemplateFields {
  /** The list of ids, the only field that must be there. */
  readonly ids: string;
  /** Strings and numbers that change and are not read: the text, an id of the event, its time. */
  readonly passed: readonly string[];
  /** A number that is read. */
  readonly count?: string;
}

/**
 * The shape of a server's plain events, learned from one that was parsed. Another event of the same shape, byte by byte but
 * for the fields that may change, says what the first one said with other ids: it need not be parsed. Whatever differs in a
 * single byte is.
 */
export interface EventTemplate {
  /** Learns from an event that was parsed and had nothing but `ids` to say. */
  learn(bytes: Buffer, start: number, end: number, ids: readonly number[], count: number | undefined): void;
  /** Appends the event's ids; false where its shape is another. */
  match(bytes: Buffer, start: number, end: number, ids: number[]): boolean;
  /** The number of the last event that matched. */
  readonly count: number;
}

type Kind = "ids" | "count" | "passed";
interface Hole {
  readonly kind: Kind;
  readonly at: number;
  /** Behind its value. */
  readonly end: number;
}

const quote = 0x22;
const backslash = 0x5c;
const comma = 0x2c;
const open = 0x5b;
const close = 0x5d;
const zero = 0x30;
/** Ids and counts are below it, so that digits are summed exactly. */
const mostDigits = 10;

export function createEventTemplate(fields: TemplateFields): EventTemplate {
  const keys: readonly { readonly kind: Kind; readonly key: Buffer }[] = [
    { kind: "ids", key: Buffer.from(`"${fields.ids}":`) },
    ...fields.passed.map((name) => ({ kind: "passed" as const, key: Buffer.from(`"${name}":`) })),
    ...(fields.count === undefined
      ? []
      : [{ kind: "count" as const, key: Buffer.from(`"${fields.count}":`) }]),
  ];
  /** What stands before each hole, and after the last. */
  let parts: readonly Buffer[] = [];
  let kinds: readonly Kind[] = [];
  let count = 0;
  /** Behind the value that was read last. */
  let after = 0;

  /** Reads a list of ids that begins at `at`; false where it is none. */
  const readIds = (bytes: Buffer, at: number, end: number, ids: number[]): boolean => {
    if (bytes[at] !== open) return false;
    let i = at + 1;
    if (bytes[i] === close) {
      after = i + 1;
      return true;
    }
    while (i < end) {
      const from = i;
      let id = 0;
      for (let digit = bytes[i]! - zero; digit >= 0 && digit <= 9; digit = bytes[++i]! - zero)
        id = id * 10 + digit;
      if (i === from || i - from > mostDigits) return false;
      ids.push(id);
      const next = bytes[i++];
      if (next === close) {
        after = i;
        return true;
      }
      if (next !== comma) return false;
      if (bytes[i] === 0x20) i += 1;
    }
    return false;
  };
  /** Goes behind a string or a number. */
  const pass = (bytes: Buffer, at: number, end: number): boolean => {
    let i = at;
    if (bytes[i] !== quote) {
      count = 0;
      for (let digit = bytes[i]! - zero; digit >= 0 && digit <= 9; digit = bytes[++i]! - zero)
        count = count * 10 + digit;
      after = i;
      return i > at && i - at <= mostDigits;
    }
    for (i += 1; i < end; i++) {
      const byte = bytes[i]!;
      if (byte === quote) {
        after = i + 1;
        return true;
      }
      if (byte === backslash) i += 1;
    }
    return false;
  };

  return {
    get count() {
      return count;
    },
    learn(bytes, start, end, ids, told) {
      const holes: Hole[] = [];
      for (const { kind, key } of keys) {
        const found = bytes.subarray(start, end).indexOf(key);
        if (found < 0) {
          if (kind === "passed") continue;
          return;
        }
        // Twice, and it is anybody's guess which one was read.
        if (bytes.subarray(start + found + 1, end).includes(key)) return;
        const at = start + found + key.length;
        const read: number[] = [];
        if (kind === "ids" ? !readIds(bytes, at, end, read) : !pass(bytes, at, end)) {
          if (kind === "passed") continue;
          return;
        }
        if (kind === "ids" && (read.length !== ids.length || read.some((id, i) => id !== ids[i]))) return;
        if (kind === "count" && count !== told) return;
        holes.push({ kind, at, end: after });
      }
      holes.sort((a, b) => a.at - b.at);
      const between: Buffer[] = [];
      let from = start;
      for (const hole of holes) {
        between.push(Buffer.from(bytes.subarray(from, hole.at)));
        from = hole.end;
      }
      parts = [...between, Buffer.from(bytes.subarray(from, end))];
      kinds = holes.map(({ kind }) => kind);
    },
    match(bytes, start, end, ids) {
      if (kinds.length === 0) return false;
      const before = ids.length;
      let at = start;
      let told = 0;
      for (let i = 0; i < parts.length; i++) {
        const part = parts[i]!;
        const length = part.length;
        if (end - at < length) break;
        let j = 0;
        while (j < length && bytes[at + j] === part[j]) j += 1;
        if (j < length) break;
        at += length;
        if (i === kinds.length) {
          if (at !== end) break;
          count = told;
          return true;
        }
        const kind = kinds[i]!;
        if (kind === "ids" ? !readIds(bytes, at, end, ids) : !pass(bytes, at, end)) break;
        if (kind === "count") {
          if (bytes[at] === quote) break;
          told = count;
        }
        at = after;
      }
      ids.length = before;
      return false;
    },
  };
}
