import type { ChoiceStep } from "../run-choice.ts";
import type { TextPiece, TokenText } from "../tokens/choice-decoder.ts";
import type { CallOrText, ToolCallParser } from "./tool-call-format.ts";

/**
 * A choice's steps with its calls told apart from its text. Tokens with log probabilities come with the next piece that is told,
 * so none is lost. A choice that ended by itself and has calls ends with `toolCalls`.
 *
 * @param isEnough true once no further call may follow: the choice ends there. Its steps end when they are asked for more.
 */
export async function* readToolCalls(
  steps: AsyncGenerator<ChoiceStep, void, undefined>,
  parser: ToolCallParser,
  isEnough?: () => boolean,
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
      if (isEnough?.() === true) break;
      if (piece.tokens !== undefined) tokens.push(...piece.tokens);
      add(isEnough === undefined ? parser.push(piece.text) : readUntil(parser, piece.text, isEnough));
    }
    const isCut = isEnough?.() === true;
    if (step.finish === undefined && !isCut) {
      yield { ...step, pieces };
      continue;
    }
    if (isCut) await steps.next();
    else add(parser.end());
    if (tokens.length > 0) add([{ text: "" }]);
    const isCall = isCut || (parser.callCount > 0 && step.finish?.reason === "stop");
    yield { ...step, pieces, finish: isCall ? { ...step.finish, reason: "toolCalls" } : step.finish };
    return;
  }
}

/** Up to the end of the last call that may be: what stands behind it is not even read. */
function readUntil(parser: ToolCallParser, text: string, isEnough: () => boolean): CallOrText[] {
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
