export type { FrontendErrorCode } from "./errors.ts";
export { FrontendError } from "./errors.ts";

export type { TextModel, TextModelOptions } from "./text/text-model.ts";
export { createTextModel } from "./text/text-model.ts";
export type {
  PreparedText,
  TextOptions,
  TextPart,
  TextPrompt,
  TextRequest,
  TextUsage,
} from "./text/text-request.ts";
export type { ChatMessage, ChatToolCall } from "./text/template/chat-template.ts";
export type { ChoiceStep } from "./text/run-choice.ts";
export type { ReasoningFormatName } from "./text/reasoning/reasoning-format.ts";
export type { ToolCallFormatName, ToolCallPiece } from "./text/tool-calls/tool-call-format.ts";
export type { ChoiceFinish, DecodedBatch, TextPiece, TokenText } from "./text/tokens/choice-decoder.ts";
export type { OffLoop, OffLoopOptions } from "./text/off-loop/off-loop.ts";
export { createOffLoop } from "./text/off-loop/off-loop.ts";
export type { Detokenizer } from "./text/tokens/detokenizer.ts";
export { createDetokenizer } from "./text/tokens/detokenizer.ts";
export type { TokenizerJson, Vocabulary } from "./text/tokens/vocabulary.ts";
export { createVocabulary } from "./text/tokens/vocabulary.ts";
export type { TextEncoding } from "./text/tokens/tokenizer.ts";
export { createTextEncoding } from "./text/tokens/tokenizer.ts";

export type { MetricsSource, OpenAIOptions, RequestFacts, RequestMeasure } from "./openai/openai-options.ts";
export type { OpenAILimits } from "./openai/limits.ts";
export { defaultOpenAILimits } from "./openai/limits.ts";
export type { ErrorResponse, OpenAIErrorBody, OpenAIErrorType } from "./openai/errors/error-response.ts";
export { errorResponse } from "./openai/errors/error-response.ts";

export type { OpenAIHandler } from "./http/openai-handler.ts";
export { createOpenAIHandler } from "./http/openai-handler.ts";
export type {
  ConnectionLimits,
  ListenOptions,
  OpenAIServer,
  OpenAIServerOptions,
  RouteHandler,
} from "./http/openai-server.ts";
export { createOpenAIServer, defaultConnectionLimits } from "./http/openai-server.ts";
