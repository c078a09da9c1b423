export type { VllmConnector, VllmOptions } from "./vllm.ts";
export { vllm } from "./vllm.ts";
export type { ServerEngine, ServerEngineOptions, ServerSize } from "../server/server-engine.ts";
