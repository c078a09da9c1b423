export type { ReplayOptions, ReplayResult } from "./replay.ts";
export { replay } from "./replay.ts";
export type { ReplaySummary, RequestOutcome } from "./replay-summary.ts";
