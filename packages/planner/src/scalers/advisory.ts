import type { Workers } from "../decision/types.ts";
import type { Scaler, ScalerState } from "./scaler.ts";

export interface AdvisoryOptions {
  /** What there is; decisions do not change it. */
  readonly state: () => ScalerState | Promise<ScalerState>;
  /** Hears what would have been done. */
  readonly onAdvice: (target: Workers) => void;
}

/** Changes nothing, and says what it would: a dry run beside another autoscaler or a person. */
export function advisory(options: AdvisoryOptions): Scaler {
  return {
    state: async () => options.state(),
    scale(target) {
      options.onAdvice(target);
      return Promise.resolve();
    },
  };
}
