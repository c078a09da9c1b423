export type { LoadOptions, LoadProgress, LoadReport, RequestOutcome } from "./load/load.ts";
export { runLoad } from "./load/load.ts";
export type { Distribution } from "./load/statistics.ts";
export { distribution } from "./load/statistics.ts";
export type { Up, UpOptions } from "./up/up.ts";
export { up } from "./up/up.ts";
export type { LayoutOverrides } from "./up/override-layout.ts";
export { overrideLayout } from "./up/override-layout.ts";
export { readLayout } from "./layout-file.ts";
