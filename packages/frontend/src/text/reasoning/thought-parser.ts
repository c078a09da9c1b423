import { longestSuffixThatBegins } from "../tokens/stop-strings.ts";
import type { OutputParser } from "../output/output-parser.ts";
import type { CallOrText, ToolCallParser } from "../tool-calls/tool-call-format.ts";

export interface ThoughtParserOptions {
  readonly open: string;
  readonly close: string;
  /** The prompt ended with the opening mark. */
  readonly isOpen: boolean;
  /** Reads what is no thought. */
  readonly calls: ToolCallParser | undefined;
}

/** White space around thoughts that is dropped with their marks, at most. Bounds what is held back. */
const mostSpace = 32;

/**
 * Parses thoughts that stand before the answer, between two marks. A mark anywhere else is text: thoughts come first or not at all.
 * Thoughts that never close are thoughts up to their end. White space between marks, thoughts and answer is dropped.
 */
export function createThoughtParser({ open, close, isOpen, calls }: ThoughtParserOptions): OutputParser {
  let state: "start" | "thoughts" | "gap" | "answer" = "start";
  let held = "";
  let isFirst = true;

  const answer = (text: string): readonly CallOrText[] => {
    if (text === "") return [];
    return calls === undefined ? [{ text }] : calls.push(text);
  };
  const think = (pieces: CallOrText[], text: string): void => {
    const told = isFirst ? text.trimStart() : text;
    if (told === "") return;
    isFirst = false;
    pieces.push({ text: "", reasoning: told });
  };

  /** The opening mark, if there is one; returns what is behind it. */
  const readStart = (text: string, pieces: CallOrText[]): string => {
    const whole = held + text;
    held = "";
    const behind = whole.trimStart();
    if (behind.startsWith(open)) {
      state = "thoughts";
      return behind.slice(open.length);
    }
    if (open.startsWith(behind) && whole.length - behind.length <= mostSpace) {
      held = whole;
      return "";
    }
    state = isOpen ? "thoughts" : "answer";
    if (isOpen) return whole;
    pieces.push(...answer(whole));
    return "";
  };

  const readThoughts = (text: string, pieces: CallOrText[]): string => {
    const whole = held + text;
    held = "";
    const end = whole.indexOf(close);
    if (end >= 0) {
      think(pieces, whole.slice(0, end).trimEnd());
      state = "gap";
      return whole.slice(end + close.length);
    }
    let hold = longestSuffixThatBegins(whole, close);
    hold += spaceBefore(whole, whole.length - hold);
    think(pieces, whole.slice(0, whole.length - hold));
    held = whole.slice(whole.length - hold);
    return "";
  };

  return {
    get isReasoning() {
      return state === "thoughts" || (state === "start" && isOpen);
    },
    get callCount() {
      return calls?.callCount ?? 0;
    },
    push(text) {
      if (state === "answer") return answer(text);
      const pieces: CallOrText[] = [];
      let rest = text;
      if (state === "start") rest = readStart(rest, pieces);
      if (state === "thoughts") rest = readThoughts(rest, pieces);
      if (state === "gap") {
        rest = rest.trimStart();
        if (rest !== "") state = "answer";
      }
      if (rest !== "") pieces.push(...answer(rest));
      return pieces;
    },
    end() {
      const pieces: CallOrText[] = [];
      if (state === "thoughts" || (state === "start" && isOpen)) think(pieces, held.trimEnd());
      else pieces.push(...answer(held));
      held = "";
      return calls === undefined ? pieces : [...pieces, ...calls.end()];
    },
  };
}

/** Characters of white space before `end`, at most `mostSpace`. */
function spaceBefore(text: string, end: number): number {
  let count = 0;
  while (count < mostSpace && count < end && text[end - 1 - count]!.trim() === "") count++;
  return count;
}
