export type { SglangConnector, SglangOptions } from "./sglang.ts";
export { sglang } from "./sglang.ts";
export type { ServerEngine, ServerEngineOptions, ServerSize } from "../server/server-engine.ts";
