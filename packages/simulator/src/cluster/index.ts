export type { VirtualClock } from "@stator/core";
export { createVirtualClock } from "@stator/core";
export type { BlockCache, CacheChange, EvictionOrder } from "./block-cache.ts";
export { createBlockCache } from "./block-cache.ts";
export type { SimulatedRequest, SimulatedWorker, SimulatedWorkerOptions } from "./simulated-worker.ts";
export { createSimulatedWorker } from "./simulated-worker.ts";
export { simulateLayout } from "../simulate/simulate-layout.ts";
export type { ScalingTick } from "../scaling/scaling-loop.ts";
export type { ScalingStrategy } from "../scaling/scaling-strategy.ts";
export type {
  ScalingReport,
  SimulatedOutcome,
  SimulatedScaling,
  Simulation,
  SimulationOptions,
  WorkerChange,
  WorkerReport,
} from "../simulate/simulation.ts";
export type { Distribution } from "../simulate/report/histogram.ts";
export type { Timeline, TimelinePoint } from "../simulate/report/timeline.ts";
export type { StepMs } from "../simulate/engine/step-ms.ts";
export { linearStepMs, modelledStepMs } from "../simulate/engine/step-ms.ts";
export type { ModelledWorkerOptions, WorkerModel } from "../simulate/engine/worker-model.ts";
export { modelledWorker, simulatedEngineWorker } from "../simulate/engine/worker-model.ts";
export { SimulatorError } from "../simulator-error.ts";
export type { SimulatorErrorCode } from "../simulator-error.ts";
