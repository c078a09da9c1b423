import { longestSuffixThatBegins } from "../tokens/stop-strings.ts";
import type { OutputParser } from "../output/output-parser.ts";
import type { CallReader } from "../tool-calls/reading/call-reader.ts";
import { createNamedCallReader } from "../tool-calls/reading/named-call-reader.ts";
import type { CallOrText } from "../tool-calls/tool-call-format.ts";
import { readHeader } from "./message-header.ts";

const start = "<|start|>";
const channel = "<|channel|>";
const message = "<|message|>";
/** Any of these ends a message, the first two because the model forgot to end it. */
const ends: readonly string[] = [start, channel, "<|end|>", "<|return|>", "<|call|>"];

/** All control tokens of the format. */
export const harmonyMarks: readonly string[] = [...ends, message, "<|constrain|>"];

/** Characters of a message's header, at most; longer ones are no header. Bounds what is held back. */
const longestHeader = 512;

export interface HarmonyParserOptions {
  /** Whether messages to functions are calls. */
  readonly hasTools: boolean;
  createId(): string;
}

/**
 * Parses an answer that consists of messages in channels. The prompt ended with `<|start|>assistant`, so the output begins inside a
 * header. An output that begins otherwise is an answer as it stands; a message to a function that is no JSON object is text.
 */
export function createHarmonyParser({ hasTools, createId }: HarmonyParserOptions): OutputParser {
  let state: "between" | "header" | "answer" | "reasoning" | "call" = "between";
  /** Header: all of it. Elsewhere: what may become a mark. */
  let held = "";
  /** The header of the call that is being read: part of what it was if it turns out to be none. */
  let header = "";
  let reader: CallReader | undefined;
  let nextIndex = 0;
  let callCount = 0;

  const say = (pieces: CallOrText[], text: string): void => {
    if (text === "") return;
    pieces.push(state === "reasoning" ? { text: "", reasoning: text } : { text });
  };

  const open = (raw: string): void => {
    const target = readHeader(raw, hasTools);
    state = target.kind;
    if (target.kind !== "call") return;
    header = raw;
    const { name } = target;
    reader = createNamedCallReader(
      { index: nextIndex, id: createId(), accepts: () => true, parametersOf: () => undefined },
      (before) => (before.trim() === "" ? { name } : undefined),
    );
  };

  /** The call that is being read is none: all of it is text, as it was written. */
  const fail = (pieces: CallOrText[], rest: string): void => {
    const text = header + reader!.raw + rest;
    pieces.push(reader!.isTold ? { text, failedCall: nextIndex++ } : { text });
    reader = undefined;
    state = "answer";
  };

  const readCall = (text: string, pieces: CallOrText[]): void => {
    if (reader === undefined) return;
    const at = reader.push(text, 0);
    for (const toolCall of reader.take()) pieces.push({ text: "", toolCall });
    if (reader.state === "broken") return fail(pieces, text.slice(at));
    if (reader.state !== "done") return;
    nextIndex++;
    callCount++;
    reader = undefined;
  };

  const readBody = (text: string, pieces: CallOrText[]): void => {
    if (state === "call") readCall(text, pieces);
    else say(pieces, text);
  };

  const endMessage = (pieces: CallOrText[]): void => {
    if (reader !== undefined) fail(pieces, "");
    state = "between";
  };

  /** A message's text up to the mark that ends it; returns what is behind, that mark included where it begins the next message. */
  const readMessage = (text: string, pieces: CallOrText[]): string => {
    const whole = held + text;
    held = "";
    const end = firstMark(whole);
    if (end !== undefined) {
      readBody(whole.slice(0, end.at), pieces);
      endMessage(pieces);
      return whole.slice(end.mark === start || end.mark === channel ? end.at : end.at + end.mark.length);
    }
    const hold = Math.max(...ends.map((mark) => longestSuffixThatBegins(whole, mark)));
    readBody(whole.slice(0, whole.length - hold), pieces);
    held = whole.slice(whole.length - hold);
    return "";
  };

  /** Between messages, and at the beginning: a header, or text that is none. */
  const readBetween = (text: string): string => {
    const whole = held + text;
    held = "";
    const behind = whole.trimStart();
    if ([start, channel, "to="].some((one) => behind.startsWith(one))) {
      state = "header";
      return behind;
    }
    if ([...ends, "to="].some((one) => one.startsWith(behind))) {
      held = whole;
      return "";
    }
    const stray = ends.find((one) => behind.startsWith(one));
    if (stray !== undefined) return behind.slice(stray.length);
    state = "answer";
    return whole;
  };

  const readHead = (text: string, pieces: CallOrText[]): string => {
    const whole = held + text;
    held = "";
    const end = whole.indexOf(message);
    if (end >= 0) {
      open(whole.slice(0, end + message.length));
      return whole.slice(end + message.length);
    }
    if (whole.length <= longestHeader) held = whole;
    else {
      state = "answer";
      say(pieces, whole);
    }
    return "";
  };

  return {
    get isReasoning() {
      return state === "reasoning";
    },
    get callCount() {
      return callCount;
    },
    push(text) {
      const pieces: CallOrText[] = [];
      let rest = text;
      while (rest !== "") {
        if (state === "between") rest = readBetween(rest);
        else if (state === "header") rest = readHead(rest, pieces);
        else rest = readMessage(rest, pieces);
      }
      return pieces;
    },
    end() {
      const pieces: CallOrText[] = [];
      const rest = held;
      held = "";
      if (state === "call") readCall(rest, pieces);
      // A header without a message is not worth telling, a text that only looked like one is.
      else if (!rest.includes("<|")) say(pieces, rest);
      endMessage(pieces);
      return pieces;
    },
  };
}

function firstMark(text: string): { readonly at: number; readonly mark: string } | undefined {
  let first: { at: number; mark: string } | undefined;
  for (const mark of ends) {
    const at = text.indexOf(mark);
    if (at >= 0 && (first === undefined || at < first.at)) first = { at, mark };
  }
  return first;
}
