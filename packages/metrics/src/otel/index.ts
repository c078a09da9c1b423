export type { Tracing, TracingOptions } from "./create-tracing.ts";
export { createTracing } from "./create-tracing.ts";
export { parentContext, toTraceparent } from "./trace-parent.ts";
