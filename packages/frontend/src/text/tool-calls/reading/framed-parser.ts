import { longestSuffixThatBegins } from "../tokens/stop-strings.ts";
import { createCallReader, type CallReader } from "./call-reader.ts";
import type { CallOrText, ToolCallParser } from "./tool-call-format.ts";

/** What stands around calls. White space between any two of these parts is theirs. */
export interface CallFrame {
  /** Texts that announce calls. */
  readonly openers: readonly string[];
  /** Whether an output that begins with `{` may be a call without an opener; then only to a tool of the request. */
  readonly isBareAllowed: boolean;
  /** Begins the list of calls; empty where there is none. */
  readonly listStart: string;
  /** Behind a call: another one follows. Empty: each has its own opener. */
  readonly between: string;
  /** Behind the last call. May be missing. */
  readonly closer: string;
}

export interface FramedParserOptions {
  readonly frame: CallFrame;
  readonly tools: ReadonlySet<string>;
  createId(): string;
}

/** White space around a call that is dropped with it, at most; what is beyond is text. Bounds what is held back. */
const mostSpace = 32;

/**
 * Parses calls between the frame's texts. All that is no complete call comes out as text, exactly as it was written, except for
 * white space around calls. A call's name is told as soon as its arguments begin, and these as they come.
 */
export function createFramedParser({ frame, tools, createId }: FramedParserOptions): ToolCallParser {
  const followers = [frame.between, frame.closer].filter((text) => text !== "");
  let state: "text" | "before" | "call" | "after" = "text";
  /** Text state: held back. Before a call: all of it since the text. After a call: the gap so far. */
  let held = "";
  let reader: CallReader | undefined;
  let isListOpen = false;
  let isBare = false;
  let hasText = false;
  let isBehindCall = false;
  let nextIndex = 0;
  let callCount = 0;

  const say = (pieces: CallOrText[], text: string, failedCall?: number): void => {
    if (text === "") return;
    hasText = true;
    isBehindCall = false;
    pieces.push(failedCall === undefined ? { text } : { text, failedCall });
  };
  const openCalls = (raw: string, withoutOpener: boolean): void => {
    held = raw;
    isBare = withoutOpener;
    isListOpen = false;
    state = "before";
  };
  const fail = (pieces: CallOrText[]): void => {
    const isTold = reader?.isTold === true;
    say(pieces, held + (reader?.raw ?? ""), isTold ? nextIndex++ : undefined);
    held = "";
    reader = undefined;
    state = "text";
  };

  /** Text up to the next call; returns what is behind its opener. */
  const readText = (text: string, pieces: CallOrText[]): string => {
    const whole = held + text;
    held = "";
    const first = whole.search(/\S/);
    if (
      frame.isBareAllowed &&
      !hasText &&
      callCount === 0 &&
      first >= 0 &&
      first <= mostSpace &&
      whole[first] === "{"
    ) {
      openCalls(whole.slice(0, first), true);
      return whole.slice(first);
    }
    const found = firstOf(whole, frame.openers);
    if (found !== undefined) {
      const start = found.at - spaceBefore(whole, found.at);
      say(pieces, whole.slice(0, start));
      const end = found.at + found.opener.length;
      openCalls(whole.slice(start, end), false);
      return whole.slice(end);
    }
    let hold = 0;
    for (const opener of frame.openers) hold = Math.max(hold, longestSuffixThatBegins(whole, opener));
    hold += spaceBefore(whole, whole.length - hold);
    say(pieces, whole.slice(0, whole.length - hold));
    held = whole.slice(whole.length - hold);
    return "";
  };

  /** White space and the list's start up to the call's brace. */
  const readBefore = (text: string, pieces: CallOrText[]): string => {
    let at = 0;
    for (; at < text.length; at++) {
      const character = text[at]!;
      if (character === "{") break;
      const isListStart = !isListOpen && character === frame.listStart;
      if (isListStart) isListOpen = true;
      else if (character.trim() !== "") {
        held += text.slice(0, at);
        fail(pieces);
        return text.slice(at);
      }
    }
    held += text.slice(0, at);
    if (at === text.length) return "";
    const accepts = isBare ? (name: string) => tools.has(name) : () => true;
    reader = createCallReader({ index: nextIndex, id: createId(), accepts });
    state = "call";
    return text.slice(at);
  };

  const readCall = (text: string, pieces: CallOrText[]): string => {
    const call = reader!;
    const at = call.push(text, 0);
    for (const toolCall of call.take()) pieces.push({ text: "", toolCall });
    if (call.state === "broken") fail(pieces);
    if (call.state === "done") {
      nextIndex++;
      callCount++;
      reader = undefined;
      held = "";
      state = "after";
    }
    return text.slice(at);
  };

  /** What may follow a call; all else is text again. */
  const readAfter = (text: string): string => {
    const whole = held + text;
    held = "";
    const rest = whole.trimStart();
    const gap = whole.length - rest.length;
    if (gap <= mostSpace) {
      const follower = followers.find((one) => rest.startsWith(one));
      if (follower !== undefined) {
        const end = gap + follower.length;
        if (follower === frame.between) {
          held = whole.slice(0, end);
          state = "before";
        } else {
          isBehindCall = true;
          state = "text";
        }
        return whole.slice(end);
      }
      if (followers.some((one) => one.startsWith(rest))) {
        held = whole;
        return "";
      }
    }
    isBehindCall = true;
    state = "text";
    return whole;
  };

  return {
    get callCount() {
      return callCount;
    },
    push(text) {
      const pieces: CallOrText[] = [];
      let rest = text;
      while (rest !== "") {
        if (state === "text") rest = readText(rest, pieces);
        else if (state === "before") rest = readBefore(rest, pieces);
        else if (state === "call") rest = readCall(rest, pieces);
        else rest = readAfter(rest);
      }
      return pieces;
    },
    end() {
      const pieces: CallOrText[] = [];
      const isSpaceOfCall = held.trim() === "" && (state === "after" || (state === "text" && isBehindCall));
      if (isSpaceOfCall) held = "";
      fail(pieces);
      return pieces;
    },
  };
}

function firstOf(
  text: string,
  openers: readonly string[],
): { readonly at: number; readonly opener: string } | undefined {
  let first: { at: number; opener: string } | undefined;
  for (const opener of openers) {
    const at = text.indexOf(opener);
    if (at >= 0 && (first === undefined || at < first.at)) first = { at, opener };
  }
  return first;
}

/** Characters of white space before `end`, at most `mostSpace`. */
function spaceBefore(text: string, end: number): number {
  let count = 0;
  while (count < mostSpace && count < end && text[end - 1 - count]!.trim() === "") count++;
  return count;
}
