export type { Interval, Limits, LoadForecast, Observations, Plan, Reason, Slo, Workers } from "./types.ts";
export { defaultPercentile, plan } from "./plan.ts";
export { react } from "./react.ts";
