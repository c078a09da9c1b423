import { StatorError } from "@stator/core";

/** Codes of `@stator/planner`; each has its paragraph in docs/reference/errors/planner.md. */
export type PlannerErrorCode =
  | "PLANNER_PROFILE_INVALID"
  | "PLANNER_OPTION_INVALID"
  | "PLANNER_FORECAST_FAILED"
  | "PLANNER_OBSERVATION_FAILED"
  | "PLANNER_SCALING_FAILED";

export class PlannerError extends StatorError<PlannerErrorCode> {
  override readonly name: string = "PlannerError";

  static override isInstance(value: unknown): value is PlannerError {
    return StatorError.isInstance(value) && value.code.startsWith("PLANNER_");
  }
}
