export type { DisaggregationCase, DisaggregationFixture } from "./disaggregation-suite.ts";
export { disaggregationSuite } from "./disaggregation-suite.ts";
