import { PlannerError, type Scaler, type Workers } from "@stator/planner";
import type { Up } from "../up/up.ts";

export interface ProcessScalerOptions {
  readonly up: Up;
  readonly model: string;
  /** Name of the layout's pool for prefill; absent in an aggregated graph. */
  readonly prefill?: string;
  /** Name of the layout's pool for decode, or for both. */
  readonly decode: string;
}

/** Worker processes of a running layout. Those that go are drained by their supervisor before they end. */
export function processScaler(options: ProcessScalerOptions): Scaler {
  const { up, model } = options;
  const pools = { prefill: options.prefill, decode: options.decode };
  const failures: unknown[] = [];
  const count = (pool: string | undefined, states?: readonly string[]): number =>
    pool === undefined
      ? 0
      : up.supervisor.processes.filter(
          ({ spec, state }) =>
            spec.name.startsWith(`${model}-${pool}-`) &&
            state !== "stopping" &&
            state !== "stopped" &&
            (states === undefined || states.includes(state)),
        ).length;
  let target: Workers = { prefill: count(pools.prefill), decode: count(pools.decode) };
  const apply = (): void => {
    for (const role of ["prefill", "decode"] as const) {
      const pool = pools[role];
      if (pool === undefined || count(pool) === target[role]) continue;
      up.scale(model, pool, target[role]).catch((error: unknown) => failures.push(error));
    }
  };
  return {
    state() {
      const failure = failures.shift();
      if (failure !== undefined)
        return Promise.reject(
          new PlannerError({
            code: "PLANNER_SCALING_FAILED",
            kind: "unavailable",
            message: `Worker processes of ${model} could not be scaled: ${failure instanceof Error ? failure.message : String(failure)}.`,
            cause: failure,
          }),
        );
      // A worker that was still draining when it was wanted again is made up for here.
      apply();
      return Promise.resolve({
        target,
        ready: { prefill: count(pools.prefill, ["ready"]), decode: count(pools.decode, ["ready"]) },
      });
    },
    scale(wanted) {
      target = wanted;
      apply();
      return Promise.resolve();
    },
  };
}
