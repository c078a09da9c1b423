import type { TokenText } from "../../text/tokens/choice-decoder.ts";
import { usageBody, type AnswerHead, type AnswerShape } from "./answer-shape.ts";
import { jsonText } from "./json-text.ts";

/** Answers of `/v1/completions`. */
export const completionShape: AnswerShape = {
  choiceWriter(head, index) {
    const before = `${eventStart(head)}[{"index":${index},"text":`;
    const end = head.includeUsage ? `}],"usage":null}\n\n` : `}]}\n\n`;
    const after = `,"logprobs":null,"finish_reason":null${end}`;
    let offset = 0;
    return {
      open: () => "",
      piece(piece) {
        if (piece.tokens === undefined) return before + jsonText(piece.text) + after;
        const logprobs = JSON.stringify(logprobsBody(piece.tokens, offset));
        for (const token of piece.tokens) offset += token.text.length;
        return `${before}${jsonText(piece.text)},"logprobs":${logprobs},"finish_reason":null${end}`;
      },
      finish: (reason) => `${before}"","logprobs":null,"finish_reason":"${reason}"${end}`,
    };
  },
  usageEvent: (head, usage) => `${eventStart(head)}[],"usage":${JSON.stringify(usageBody(usage))}}\n\n`,
  whole: (head, choices, usage) => ({
    id: head.id,
    object: "text_completion",
    created: head.created,
    model: head.model,
    choices: choices.map((choice) => ({
      index: choice.index,
      text: choice.text,
      logprobs: head.logprobs ? logprobsBody(choice.tokens, 0) : null,
      finish_reason: choice.finishReason,
    })),
    usage: usageBody(usage),
  }),
};

function eventStart(head: AnswerHead): string {
  return `data: {"id":${jsonText(head.id)},"object":"text_completion","created":${head.created},"model":${jsonText(head.model)},"choices":`;
}

/** The legacy endpoint's four parallel lists. */
function logprobsBody(tokens: readonly TokenText[], firstOffset: number): Record<string, unknown> {
  let offset = firstOffset;
  return {
    tokens: tokens.map((token) => token.text),
    token_logprobs: tokens.map((token) => finite(token.logprob)),
    top_logprobs: tokens.map((token) =>
      Object.fromEntries(token.top.map((one) => [one.text, finite(one.logprob)])),
    ),
    text_offset: tokens.map((token) => (offset += token.text.length) - token.text.length),
  };
}

function finite(logprob: number): number {
  return Number.isFinite(logprob) ? logprob : -9999;
}
