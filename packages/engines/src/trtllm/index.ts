export type { TrtllmConnector, TrtllmOptions } from "./trtllm.ts";
export { trtllm } from "./trtllm.ts";
export type { ServerEngine, ServerEngineOptions, ServerSize } from "../server/server-engine.ts";
