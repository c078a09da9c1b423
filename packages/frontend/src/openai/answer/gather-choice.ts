import type { ChatToolCall } from "../../text/template/chat-template.ts";
import type { ChoiceFinish, TextPiece, TokenText } from "../../text/tokens/choice-decoder.ts";
import { finishReasonOf, type FinishedChoice } from "./answer-shape.ts";

/** Puts the pieces of one choice together for an answer that is not streamed. */
export function createChoiceGatherer(index: number): {
  add(piece: TextPiece): void;
  finish(finish: ChoiceFinish): FinishedChoice;
} {
  let text = "";
  let reasoning = "";
  const tokens: TokenText[] = [];
  const calls = new Map<number, ChatToolCall>();
  return {
    add(piece) {
      text += piece.text;
      if (piece.reasoning !== undefined) reasoning += piece.reasoning;
      if (piece.tokens !== undefined) tokens.push(...piece.tokens);
      if (piece.failedCall !== undefined) calls.delete(piece.failedCall);
      const { toolCall } = piece;
      if (toolCall === undefined) return;
      const begun = calls.get(toolCall.index);
      calls.set(toolCall.index, {
        id: begun?.id ?? toolCall.id ?? "",
        name: begun?.name ?? toolCall.name ?? "",
        arguments: (begun?.arguments ?? "") + toolCall.arguments,
      });
    },
    finish: (finish) => ({
      index,
      text,
      reasoning,
      toolCalls: [...calls.values()],
      tokens,
      finishReason: finishReasonOf(finish),
    }),
  };
}
