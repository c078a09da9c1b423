export type { ReplayOptions, ReplayResult } from "./replay.ts";
export { replay } from "./replay.ts";
export type { ReplayDifference } from "./recorded.ts";
export { blockTokensOfDecisions, compareReplays, workloadOfDecisions } from "./recorded.ts";
export type { ReplaySummary, RequestOutcome } from "./replay-summary.ts";
