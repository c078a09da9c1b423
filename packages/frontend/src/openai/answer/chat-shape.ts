import type { TokenText } from "../../text/tokens/choice-decoder.ts";
import type { ToolCallPiece } from "../../text/tool-calls/tool-call-format.ts";
import { usageBody, type AnswerHead, type AnswerShape, type FinishedChoice } from "./answer-shape.ts";
import { jsonText } from "./json-text.ts";

/** Answers of `/v1/chat/completions`. */
export const chatShape: AnswerShape = {
  choiceWriter(head, index) {
    const before = `${eventStart(head)}[{"index":${index},"delta":`;
    const contentBefore = `${before}{"content":`;
    const reasoningBefore = `${before}{"reasoning_content":`;
    const end = head.includeUsage ? `}],"usage":null}\n\n` : `}]}\n\n`;
    const contentAfter = `},"logprobs":null,"finish_reason":null${end}`;
    return {
      open: () => `${before}{"role":"assistant","content":""},"logprobs":null,"finish_reason":null${end}`,
      piece(piece) {
        const { reasoning } = piece;
        if (piece.toolCall === undefined && piece.tokens === undefined)
          return reasoning === undefined
            ? contentBefore + jsonText(piece.text) + contentAfter
            : reasoningBefore + jsonText(reasoning) + contentAfter;
        const delta =
          piece.toolCall !== undefined
            ? toolCallDelta(piece.toolCall)
            : reasoning === undefined
              ? `{"content":${jsonText(piece.text)}}`
              : `{"reasoning_content":${jsonText(reasoning)}}`;
        const logprobs =
          piece.tokens === undefined
            ? "null"
            : JSON.stringify({ content: piece.tokens.map(logprobBody), refusal: null });
        return `${before}${delta},"logprobs":${logprobs},"finish_reason":null${end}`;
      },
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
      message: messageBody(choice),
      logprobs: head.logprobs ? { content: choice.tokens.map(logprobBody), refusal: null } : null,
      finish_reason: choice.finishReason,
    })),
    usage: usageBody(usage),
  }),
};

/** A message that is calls or thoughts alone has no content. Thoughts have the name of DeepSeek's API, which others took over. */
function messageBody({ text, reasoning, toolCalls }: FinishedChoice): Record<string, unknown> {
  const hasText = text !== "" || (toolCalls.length === 0 && reasoning === "");
  const message = {
    role: "assistant",
    content: hasText ? text : null,
    ...(reasoning === "" ? {} : { reasoning_content: reasoning }),
    refusal: null,
  };
  if (toolCalls.length === 0) return message;
  return {
    ...message,
    tool_calls: toolCalls.map((call) => ({
      id: call.id,
      type: "function",
      function: { name: call.name, arguments: call.arguments },
    })),
  };
}

function toolCallDelta({ index, id, name, arguments: text }: ToolCallPiece): string {
  const head = id === undefined || name === undefined ? "" : `"id":${jsonText(id)},"type":"function",`;
  const called = name === undefined ? "" : `"name":${jsonText(name)},`;
  return `{"tool_calls":[{"index":${index},${head}"function":{${called}"arguments":${jsonText(text)}}}]}`;
}

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
