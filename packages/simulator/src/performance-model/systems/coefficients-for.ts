import type { Coefficients } from "./coefficients.ts";
import { blackwellCoefficients } from "./coefficients-blackwell.ts";
import { hopperCoefficients } from "./coefficients-hopper.ts";
import type { SystemSpec } from "./system-spec.ts";

/** Generations with a calibration of their own. Ampere and Ada use Hopper's: efficiencies are fractions of each data sheet. */
export type Architecture = "hopper" | "blackwell";

/** Which calibration a system uses. */
export function architectureOf(system: SystemSpec): Architecture {
  return system.computeCapability >= 100 ? "blackwell" : "hopper";
}

/** An architecture with Blackwell Ultra apart: engines build other kernels for compute capability 10.3. */
export type Generation = Architecture | "blackwellUltra";

/** Which engine terms a system uses. */
export function generationOf(system: SystemSpec): Generation {
  return system.computeCapability === 103 ? "blackwellUltra" : architectureOf(system);
}

/** The committed calibration of a system. */
export function coefficientsFor(system: SystemSpec): Coefficients {
  return architectureOf(system) === "blackwell" ? blackwellCoefficients : hopperCoefficients;
}
