export type { VirtualClock } from "@stator/core";
export { createVirtualClock } from "@stator/core";
export type { BlockCache, CacheChange, EvictionOrder } from "./block-cache.ts";
export { createBlockCache } from "./block-cache.ts";
export type { SimulatedRequest, SimulatedWorker, SimulatedWorkerOptions } from "./simulated-worker.ts";
export { createSimulatedWorker } from "./simulated-worker.ts";
