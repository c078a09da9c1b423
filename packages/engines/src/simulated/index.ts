export type { SimulatedEngineOptions } from "./options.ts";
export type { SimulatedEngine } from "./simulated-engine.ts";
export { createSimulatedEngine } from "./simulated-engine.ts";
export type { LinearStepTimeOptions, StepBatch, StepTime } from "./steps/step-batch.ts";
export { linearStepTime } from "./steps/step-batch.ts";
export { endOfTextId, endOfTurnId, simulatedTokenizer, startOfTurnId } from "./model/tokenizer-file.ts";
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
