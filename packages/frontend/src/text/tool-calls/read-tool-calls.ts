import type { ChoiceStep } from "../run-choice.ts";
import type { TextPiece, TokenText } from "../tokens/choice-decoder.ts";
import type { CallOrText, ToolCallParser } from "./tool-call-format.ts";

/**
 * A choice's steps with its calls told apart from its text. Tokens with log probabilities come with the next piece that is told,
 * so none is lost. A choice that ended by itself and has calls ends with `toolCalls`.
 */
export async function* readToolCalls(
  steps: AsyncIterable<ChoiceStep>,
  parser: ToolCallParser,
): AsyncGenerator<ChoiceStep, void, undefined> {
  let tokens: TokenText[] = [];
  for await (const step of steps) {
    const pieces: TextPiece[] = [];
    const add = (found: readonly CallOrText[]): void => {
      for (const piece of found) {
        pieces.push(tokens.length === 0 ? piece : { ...piece, tokens });
        tokens = [];
      }
    };
    for (const piece of step.pieces) {
      if (piece.tokens !== undefined) tokens.push(...piece.tokens);
      add(parser.push(piece.text));
    }
    if (step.finish === undefined) {
      yield { ...step, pieces };
      continue;
    }
    add(parser.end());
    if (tokens.length > 0) add([{ text: "" }]);
    const isCall = parser.callCount > 0 && step.finish.reason === "stop";
    yield { ...step, pieces, finish: isCall ? { ...step.finish, reason: "toolCalls" } : step.finish };
  }
}
