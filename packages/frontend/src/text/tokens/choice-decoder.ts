import type { TokenBatch, TokenLogprob } from "@stator/core";
import type { ToolCallPiece } from "../tool-calls/tool-call-format.ts";
import { createDetokenizer } from "./detokenizer.ts";
import { createStopMatcher, type StopOutcome } from "./stop-strings.ts";
import type { Vocabulary } from "./vocabulary.ts";

/** One output token as text, with its log probability. */
export interface TokenText {
  readonly id: number;
  /** The token's text alone; U+FFFD stands for bytes that are no character by themselves. */
  readonly text: string;
  readonly bytes: Uint8Array;
  readonly logprob: number;
  readonly top: readonly {
    readonly id: number;
    readonly text: string;
    readonly bytes: Uint8Array;
    readonly logprob: number;
  }[];
}

/** A piece of text that is final: no later token changes it. */
export interface TextPiece {
  /** Empty beside `toolCall` and `reasoning`. */
  readonly text: string;
  /** What the model thinks before it answers, where its format is known. */
  readonly reasoning?: string;
  /** When the request has tools: a piece of a call that the model makes. */
  readonly toolCall?: ToolCallPiece;
  /**
   * The index of a call that was begun and turned out to be none: `text` is all of it as the model wrote it. What was told of
   * its arguments is no complete JSON.
   */
  readonly failedCall?: number;
  /** The tokens whose text ends in this piece, when log probabilities were asked for. */
  readonly tokens?: readonly TokenText[];
}

/** Why a choice ended. `stop`: an end id or a stop string; `length`: the budget; `toolCalls`: by itself, after at least one call. */
export interface ChoiceFinish {
  readonly reason: "stop" | "length" | "toolCalls";
  /** The stop string that ended it. */
  readonly stop?: string;
}

/** What one batch of ids amounts to. */
export interface DecodedBatch {
  /** One per token that completes text, in order. */
  readonly pieces: readonly TextPiece[];
  /** Ids that count as output: those up to the end of a stop string, else all. */
  readonly tokenCount: number;
  /** How many of these belong to thoughts; absent where none are told apart. */
  readonly reasoningTokens?: number;
  /** Set on the last. */
  readonly finish: ChoiceFinish | undefined;
}

/** Turns the ids of one choice into text, over its whole life. */
export interface ChoiceDecoder {
  decode(batch: TokenBatch): DecodedBatch;
}

export interface ChoiceDecoderOptions {
  readonly vocabulary: Vocabulary;
  readonly stop?: readonly string[];
}

const lossy = new TextDecoder("utf-8", { ignoreBOM: true });

export function createChoiceDecoder(options: ChoiceDecoderOptions): ChoiceDecoder {
  const { vocabulary } = options;
  const detokenizer = createDetokenizer(vocabulary);
  const matcher =
    options.stop === undefined || options.stop.length === 0 ? undefined : createStopMatcher(options.stop);
  /** Tokens whose text is not released yet, with the offsets (UTF-16) where their text begins and ends. */
  let pending: { token: TokenText; begin: number; end: number }[] = [];
  let decoded = 0;
  let released = 0;

  const releaseTokens = (upTo: number, isEnd: boolean): readonly TokenText[] => {
    let count = 0;
    for (const entry of pending) {
      // At a stop string, a token that began before it belongs to the text although its end was cut off.
      if (isEnd ? entry.begin >= upTo && entry.end > upTo : entry.end > upTo) break;
      count++;
    }
    const tokens = pending.slice(0, count).map((entry) => entry.token);
    pending = isEnd ? [] : pending.slice(count);
    return tokens;
  };

  const add = (pieces: TextPiece[], text: string, withTokens: boolean, isEnd: boolean): void => {
    released += text.length;
    const tokens = withTokens ? releaseTokens(released, isEnd) : undefined;
    if (tokens !== undefined && tokens.length > 0) pieces.push({ text, tokens });
    else if (text !== "") pieces.push({ text });
  };

  return {
    decode(batch) {
      const pieces: TextPiece[] = [];
      const { ids, logprobs } = batch;
      const stopId = batch.finish?.stopId;
      const count = stopId !== undefined && ids[ids.length - 1] === stopId ? ids.length - 1 : ids.length;
      for (let i = 0; i < count; i++) {
        const id = ids[i]!;
        const text = detokenizer.push(id);
        const logprob = logprobs?.[i];
        if (logprob === undefined) {
          if (text === "") continue;
          if (matcher === undefined) {
            pieces.push({ text });
            continue;
          }
        } else {
          const begin = decoded;
          pending.push({ token: tokenText(vocabulary, id, logprob), begin, end: begin + text.length });
        }
        decoded += text.length;
        const outcome: StopOutcome = matcher === undefined ? { text } : matcher.push(text);
        add(pieces, outcome.text, logprob !== undefined, outcome.matched !== undefined);
        if (outcome.matched !== undefined)
          return { pieces, tokenCount: i + 1, finish: { reason: "stop", stop: outcome.matched } };
      }
      if (batch.finish === undefined) return { pieces, tokenCount: ids.length, finish: undefined };

      const tail = detokenizer.end();
      const outcome: StopOutcome = matcher === undefined ? { text: tail } : matcher.push(tail);
      const stop = outcome.matched;
      add(
        pieces,
        stop === undefined ? outcome.text + (matcher?.end() ?? "") : outcome.text,
        pending.length > 0,
        true,
      );
      return {
        pieces,
        tokenCount: ids.length,
        finish:
          stop === undefined
            ? { reason: batch.finish.reason === "length" ? "length" : "stop" }
            : { reason: "stop", stop },
      };
    },
  };
}

function tokenText(vocabulary: Vocabulary, id: number, logprob: TokenLogprob): TokenText {
  return {
    ...named(vocabulary, id),
    logprob: logprob.logprob,
    top: logprob.top.map((alternative) => ({
      ...named(vocabulary, alternative.id),
      logprob: alternative.logprob,
    })),
  };
}

function named(vocabulary: Vocabulary, id: number): { id: number; text: string; bytes: Uint8Array } {
  const bytes = vocabulary.bytes(id);
  if (bytes.length === 0) {
    const name = vocabulary.name(id);
    return { id, text: name, bytes: new TextEncoder().encode(name) };
  }
  return { id, text: vocabulary.text(id) ?? lossy.decode(bytes), bytes };
}
