import { StatorError } from "@stator/core";

/** Codes of the discrete-event cluster; each has its paragraph in docs/reference/errors/simulator.md. */
export type SimulationErrorCode = "SIMULATOR_RUN_INVALID" | "SIMULATOR_MEMORY_EXCEEDED";

/** What a simulation refuses before it starts: always the caller's input. */
export class SimulationError extends StatorError<SimulationErrorCode> {
  override readonly name: string = "SimulationError";

  static override isInstance(value: unknown): value is SimulationError {
    return (
      StatorError.isInstance(value) &&
      (value.code === "SIMULATOR_RUN_INVALID" || value.code === "SIMULATOR_MEMORY_EXCEEDED")
    );
  }
}

/** An error of a simulation. */
export function simulationError(code: SimulationErrorCode, message: string): SimulationError {
  return new SimulationError({ code, kind: "invalid", message });
}
