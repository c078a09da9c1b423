import { longestSuffixThatBegins } from "../../tokens/stop-strings.ts";
import type { CallableTools, CallOrText, ToolCallParser } from "../tool-call-format.ts";
import type { CallReader, CallReaderOptions } from "./call-reader.ts";

/** What stands around calls, and what reads one. White space between any two of these parts is theirs. */
export interface CallFrame {
  /** Texts that announce calls. */
  readonly openers: readonly string[];
  /** The text with which a call begins where its opener is missing; empty where that may not be. */
  readonly callStart: string;
  /** An output that begins with one of these characters may be calls without an opener; then only to tools of the request. */
  readonly bareStart: string;
  /** Begins the list of calls; empty where there is none. */
  readonly listStart: string;
  /** Behind a call: another one follows. Empty: each has its own opener. */
  readonly between: string;
  /** Behind the last call, in this order. Each may be missing. */
  readonly closers: readonly string[];
  /** Whether a call may begin with a character. */
  begins(character: string): boolean;
  /** The reader of a call that begins with a character. */
  createReader(options: CallReaderOptions, first: string): CallReader;
}

export interface FramedParserOptions {
  readonly frame: CallFrame;
  readonly tools: CallableTools;
  createId(): string;
}

/** White space around a call that is dropped with it, at most; what is beyond is text. Bounds what is held back. */
const mostSpace = 32;

/**
 * Parses calls between the frame's texts. All that is no complete call comes out as text, exactly as it was written, except for
 * white space around calls. A call's name is told as soon as its arguments begin, and these as they come.
 */
export function createFramedParser({ frame, tools, createId }: FramedParserOptions): ToolCallParser {
  const openers = [...frame.openers, ...(frame.callStart === "" ? [] : [frame.callStart])];
  let state: "text" | "before" | "call" | "after" = "text";
  /** Text state: held back. Before a call: all of it since the text. After a call: the gap so far. */
  let held = "";
  /** Before a call: what may become the start of the list. */
  let ahead = "";
  /** After a call: the closers from here on may follow. */
  let closed = 0;
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
    say(pieces, held + ahead + (reader?.raw ?? ""), isTold ? nextIndex++ : undefined);
    held = ahead = "";
    reader = undefined;
    state = "text";
  };

  /** Text up to the next call; returns what is behind its opener. */
  const readText = (text: string, pieces: CallOrText[]): string => {
    const whole = held + text;
    held = "";
    const first = whole.search(/\S/);
    if (
      !hasText &&
      callCount === 0 &&
      first >= 0 &&
      first <= mostSpace &&
      frame.bareStart.includes(whole[first]!)
    ) {
      openCalls(whole.slice(0, first), true);
      return whole.slice(first);
    }
    const found = firstOf(whole, openers);
    if (found !== undefined) {
      const start = found.at - spaceBefore(whole, found.at);
      say(pieces, whole.slice(0, start));
      const end = found.opener === frame.callStart ? found.at : found.at + found.opener.length;
      openCalls(whole.slice(start, end), false);
      return whole.slice(end);
    }
    let hold = 0;
    for (const opener of openers) hold = Math.max(hold, longestSuffixThatBegins(whole, opener));
    hold += spaceBefore(whole, whole.length - hold);
    say(pieces, whole.slice(0, whole.length - hold));
    held = whole.slice(whole.length - hold);
    return "";
  };

  /** White space and the list's start up to the call itself. */
  const readBefore = (text: string, pieces: CallOrText[]): string => {
    let rest = ahead + text;
    ahead = "";
    for (;;) {
      const behind = rest.trimStart();
      held += rest.slice(0, rest.length - behind.length);
      rest = behind;
      if (rest === "") return "";
      if (isListOpen || frame.listStart === "") break;
      if (rest.startsWith(frame.listStart)) {
        isListOpen = true;
        held += frame.listStart;
        rest = rest.slice(frame.listStart.length);
      } else if (frame.listStart.startsWith(rest)) {
        ahead = rest;
        return "";
      } else break;
    }
    if (!frame.begins(rest[0]!)) {
      fail(pieces);
      return rest;
    }
    const accepts = isBare ? (name: string) => tools.has(name) : () => true;
    const parametersOf = (name: string): unknown => tools.get(name);
    reader = frame.createReader({ index: nextIndex, id: createId(), accepts, parametersOf }, rest[0]!);
    state = "call";
    return rest;
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
      closed = 0;
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
    const closers = frame.closers.slice(closed);
    const followers = frame.between === "" ? closers : [frame.between, ...closers];
    if (gap <= mostSpace) {
      const follower = followers.find((one) => rest.startsWith(one));
      if (follower !== undefined) {
        const end = gap + follower.length;
        if (follower === frame.between) {
          held = whole.slice(0, end);
          state = "before";
        } else {
          closed += closers.indexOf(follower) + 1;
          if (closed === frame.closers.length) {
            isBehindCall = true;
            state = "text";
          }
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
