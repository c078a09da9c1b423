export type { LlamaServerConnector, LlamaServerOptions } from "./llama-server.ts";
export { llamaServer } from "./llama-server.ts";
export type { ServerEngine, ServerEngineOptions, ServerSize } from "../server/server-engine.ts";
