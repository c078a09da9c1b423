import type { Layout, LayoutModel, LayoutPool } from "@stator/core";
import { simulatorError } from "../../simulator-error.ts";
import type { SimulationOptions } from "../simulation.ts";
import { simulatedEngineWorker, type WorkerModel } from "./worker-model.ts";

/** @throws SimulatorError `SIMULATOR_RUN_INVALID` when the layout has no such model. */
export function servedModelOf(layout: Layout, wanted: string | undefined): LayoutModel {
  const name = wanted ?? Object.keys(layout.models)[0] ?? "";
  const served = layout.models[name];
  if (served !== undefined) return served;
  throw simulatorError(
    "SIMULATOR_RUN_INVALID",
    `The layout has no model "${name}"; it has ${Object.keys(layout.models).join(", ") || "none"}.`,
  );
}

/** Each pool of a model with the workers that it is made of. */
export function workerModelsOf(
  served: LayoutModel,
  worker: SimulationOptions["worker"],
): { readonly poolName: string; readonly pool: LayoutPool; readonly model: WorkerModel }[] {
  return Object.entries(served.pools).map(([poolName, pool]) => ({
    poolName,
    pool,
    model:
      worker === undefined
        ? simulatedEngineWorker(pool)
        : typeof worker === "function"
          ? worker(pool, poolName)
          : worker,
  }));
}
