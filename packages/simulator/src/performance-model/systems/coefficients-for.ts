import type { BackendName } from "../engines/backend-terms.ts";
import { isEarlyBlackwellRelease } from "../engines/releases.ts";
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

/**
 * An architecture with Blackwell Ultra apart, because engines build other kernels for compute capability 10.3, and the
 * engines' first releases on Blackwell.
 */
export type Generation = Architecture | "blackwellUltra" | "blackwellEarly";

/** Which engine terms a system uses, by the newest release of an engine or by the one given. */
export function generationOf(
  system: SystemSpec,
  release?: { readonly backend: BackendName; readonly version: string | undefined },
): Generation {
  if (system.computeCapability === 103) return "blackwellUltra";
  const architecture = architectureOf(system);
  return architecture === "blackwell" &&
    release?.version !== undefined &&
    isEarlyBlackwellRelease(release.backend, release.version)
    ? "blackwellEarly"
    : architecture;
}

/** The committed calibration of a system. */
export function coefficientsFor(system: SystemSpec): Coefficients {
  return architectureOf(system) === "blackwell" ? blackwellCoefficients : hopperCoefficients;
}
