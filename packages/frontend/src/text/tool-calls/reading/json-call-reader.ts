import type { ToolCallPiece } from "../tool-call-format.ts";
import type { CallReader, CallReaderOptions } from "./call-reader.ts";
import { createJsonScanner } from "./json-scanner.ts";

/** Reads `{"name": …, "arguments": {…}}`. `parameters` is another name for `arguments`. */
export function createJsonCallReader({ index, id, accepts }: CallReaderOptions): CallReader {
  const scanner = createJsonScanner();
  let state: CallReader["state"] = "open";
  let raw = "";
  /** What the last push took, and where in `raw` it stands: to slice `raw` itself costs a copy of all of it. */
  let last = "";
  let lastStart = 0;
  let memberStart = 0;
  let valueStart = 0;
  let key: string | undefined;
  const seen = new Set<string>();
  let name: string | undefined;
  /** Where arguments that are an object begin and end in `raw`. */
  let begin: number | undefined;
  let end: number | undefined;
  /** Arguments that were written otherwise. */
  let unwrapped = "{}";
  let isTold = false;
  let told = 0;

  const openMember = (at: number): void => {
    key = memberName(raw.slice(memberStart, at));
    valueStart = at + 1;
    if (key === undefined) return;
    if (seen.has(key)) state = "broken";
    seen.add(key);
  };
  const closeMember = (at: number): void => {
    const text = raw.slice(valueStart, at);
    if (key === "name") {
      const value: unknown = JSON.parse(text);
      if (typeof value === "string" && value !== "" && accepts(value)) name = value;
      else state = "broken";
    } else if (key === "arguments" && begin === undefined) {
      const inner = unwrap(text);
      if (inner === undefined) state = "broken";
      else unwrapped = inner;
    }
    key = undefined;
  };
  /** The structure of the call itself: members at depth 1. */
  const step = (code: number, at: number): void => {
    const { depth } = scanner;
    if (code === 0x7b || code === 0x5b) {
      if (depth === 1) memberStart = at + 1;
      else if (depth === 2 && key === "arguments" && code === 0x7b) begin = at;
    } else if (code === 0x3a && depth === 1) openMember(at);
    else if (code === 0x2c && depth === 1) {
      closeMember(at);
      memberStart = at + 1;
    } else if (code === 0x7d || code === 0x5d) {
      if (depth === 1 && key === "arguments" && begin !== undefined) end = at + 1;
      if (depth > 0) return;
      closeMember(at);
      if (state === "open") state = name === undefined ? "broken" : "done";
    }
  };

  return {
    get state() {
      return state;
    },
    get raw() {
      return raw;
    },
    get isTold() {
      return isTold;
    },
    push(text, at) {
      last = text.slice(at);
      lastStart = raw.length;
      raw += last;
      let taken = 0;
      for (; taken < last.length && state === "open"; taken++) {
        const code = last.charCodeAt(taken);
        if (!scanner.push(code)) {
          state = "broken";
          break;
        }
        if (!scanner.isInString) step(code, lastStart + taken);
      }
      if (taken < last.length) raw = raw.slice(0, lastStart + taken);
      return at + taken;
    },
    take() {
      const isDone = state === "done";
      if (state === "broken" || name === undefined || (begin === undefined && !isDone)) return [];
      const pieces: ToolCallPiece[] = [];
      if (!isTold) pieces.push({ index, id, name, arguments: "" });
      isTold = true;
      let more = isDone ? unwrapped : "";
      if (begin !== undefined) {
        const upTo = isDone ? end! : end === undefined ? raw.length : end - 1;
        const from = Math.max(told, begin);
        more = from < lastStart ? raw.slice(from, upTo) : last.slice(from - lastStart, upTo - lastStart);
        told = upTo;
      }
      if (more !== "") pieces.push({ index, arguments: more });
      return pieces;
    },
  };
}

function memberName(text: string): string | undefined {
  const key = JSON.parse(text) as string;
  if (key === "name") return key;
  return key === "arguments" || key === "parameters" ? "arguments" : undefined;
}

/** Arguments that are no object: null for none, or a string with the object's JSON in it. */
function unwrap(text: string): string | undefined {
  try {
    const value: unknown = JSON.parse(text);
    if (value === null) return "{}";
    if (typeof value !== "string") return undefined;
    const inner: unknown = JSON.parse(value);
    return typeof inner === "object" && inner !== null && !Array.isArray(inner) ? value.trim() : undefined;
  } catch {
    return undefined;
  }
}
