export type { LlamaEngineOptions } from "./options.ts";
export type { LlamaEngine } from "./llama-engine.ts";
export { createLlamaEngine } from "./llama-engine.ts";
export { tinyModelPath } from "./tiny-model.ts";
export type {
  FetchOptions,
  HandoffOffer,
  HandoffSink,
  HandoffSource,
  OfferedBlock,
  Transfer,
} from "../handoff/transfer.ts";
export type { LoopbackOptions } from "../handoff/loopback.ts";
export { createLoopback } from "../handoff/loopback.ts";
export { blockConnector } from "../handoff/offer-book.ts";
export type { EnginesErrorCode } from "../errors/engines-error.ts";
export { EnginesError } from "../errors/engines-error.ts";
