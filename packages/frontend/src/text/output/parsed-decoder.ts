import type { ChoiceDecoder, TextPiece, TokenText } from "../tokens/choice-decoder.ts";
import type { CallOrText } from "../tool-calls/tool-call-format.ts";
import type { OutputParser } from "./output-parser.ts";

export interface ParsedDecoderOptions {
  readonly decoder: ChoiceDecoder;
  readonly parser: OutputParser;
  /** False: the choice ends with its first complete call. */
  readonly isParallel: boolean;
}

/**
 * A decoder whose pieces are thoughts, text and calls. Tokens with log probabilities come with the next piece that is told, so none
 * is lost. A choice that ended by itself and has calls ends with `toolCalls`.
 */
export function createParsedDecoder({ decoder, parser, isParallel }: ParsedDecoderOptions): ChoiceDecoder {
  let tokens: TokenText[] = [];
  const isEnough = (): boolean => !isParallel && parser.callCount > 0;

  return {
    decode(batch) {
      const decoded = decoder.decode(batch);
      const pieces: TextPiece[] = [];
      const add = (found: readonly CallOrText[]): void => {
        for (const piece of found) {
          pieces.push(tokens.length === 0 ? piece : { ...piece, tokens });
          tokens = [];
        }
      };
      /** Pieces up to the end of the thoughts: one per token, but for tokens that complete no character. */
      let thoughts = 0;
      for (const piece of decoded.pieces) {
        if (isEnough()) break;
        if (piece.tokens !== undefined) tokens.push(...piece.tokens);
        add(isParallel ? parser.push(piece.text) : readUntil(parser, piece.text, isEnough));
        if (parser.isReasoning) thoughts++;
      }
      const reasoningTokens = parser.isReasoning
        ? decoded.tokenCount
        : Math.min(thoughts, decoded.tokenCount);
      const isCut = isEnough();
      if (decoded.finish === undefined && !isCut) return { ...decoded, pieces, reasoningTokens };
      if (!isCut) add(parser.end());
      if (tokens.length > 0) add([{ text: "" }]);
      const isCall = isCut || (parser.callCount > 0 && decoded.finish?.reason === "stop");
      const finish = isCall ? { ...decoded.finish, reason: "toolCalls" as const } : decoded.finish;
      return { ...decoded, pieces, reasoningTokens, finish };
    },
  };
}

/** Up to the end of the last call that may be: what stands behind it is not even read. */
function readUntil(parser: OutputParser, text: string, isEnough: () => boolean): CallOrText[] {
  const found: CallOrText[] = [];
  let rest = text;
  while (rest !== "" && !isEnough()) {
    // The end of a call is a character of its own kind in every format.
    const end = rest.search(endOfCall);
    const next = end < 0 ? rest.length : end + 1;
    found.push(...parser.push(rest.slice(0, next)));
    rest = rest.slice(next);
  }
  return found;
}

/** A brace or bracket, or the end of a tag. */
const endOfCall = /[})>]/;
