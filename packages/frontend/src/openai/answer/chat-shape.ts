import type { TokenText } from "../../text/tokens/choice-decoder.ts";
import { usageBody, type AnswerHead, type AnswerShape } from "./answer-shape.ts";
import { jsonText } from "./json-text.ts";

/** Answers of `/v1/chat/completions`. */
export const chatShape: AnswerShape = {
  choiceWriter(head, index) {
    const before = `${eventStart(head)}[{"index":${index},"delta":`;
    const contentBefore = `${before}{"content":`;
    const end = head.includeUsage ? `}],"usage":null}\n\n` : `}]}\n\n`;
    const contentAfter = `},"logprobs":null,"finish_reason":null${end}`;
    return {
      open: () => `${before}{"role":"assistant","content":""},"logprobs":null,"finish_reason":null${end}`,
      piece: (piece) =>
        piece.tokens === undefined
          ? contentBefore + jsonText(piece.text) + contentAfter
          : `${contentBefore}${jsonText(piece.text)}},"logprobs":${JSON.stringify({ content: piece.tokens.map(logprobBody), refusal: null })},"finish_reason":null${end}`,
      finish: (reason) => `${before}{},"logprobs":null,"finish_reason":"${reason}"${end}`,
    };
  },
  usageEvent: (head, usage) => `${eventStart(head)}[],"usage":${JSON.stringify(usageBody(usage))}}\n\n`,
  whole: (head, choices, usage) => ({
    id: head.id,
    object: "chat.completion",
    created: head.created,
    model: head.model,
    choices: choices.map((choice) => ({
      index: choice.index,
      message: { role: "assistant", content: choice.text, refusal: null },
      logprobs: head.logprobs ? { content: choice.tokens.map(logprobBody), refusal: null } : null,
      finish_reason: choice.finishReason,
    })),
    usage: usageBody(usage),
  }),
};

function eventStart(head: AnswerHead): string {
  return `data: {"id":${jsonText(head.id)},"object":"chat.completion.chunk","created":${head.created},"model":${jsonText(head.model)},"choices":`;
}

function logprobBody(token: TokenText): Record<string, unknown> {
  return {
    token: token.text,
    logprob: finite(token.logprob),
    bytes: [...token.bytes],
    top_logprobs: token.top.map((one) => ({
      token: one.text,
      logprob: finite(one.logprob),
      bytes: [...one.bytes],
    })),
  };
}

/** OpenAI's own stand-in for a probability of zero. */
function finite(logprob: number): number {
  return Number.isFinite(logprob) ? logprob : -9999;
}
