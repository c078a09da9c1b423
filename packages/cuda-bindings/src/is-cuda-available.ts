import type { CudaError } from "./cuda-error.ts";
import { type CudaOptions, openCuda } from "./cuda.ts";

/** Whether CUDA can be used in this process, with a sentence why not. */
export type CudaAvailability =
  | { readonly isAvailable: true; readonly driverVersion: number; readonly devices: number }
  | { readonly isAvailable: false; readonly reason: string };

/** Tries to open the driver; never throws. */
export function isCudaAvailable(options: CudaOptions = {}): CudaAvailability {
  try {
    const cuda = openCuda(options);
    return { isAvailable: true, driverVersion: cuda.driverVersion, devices: cuda.devices.length };
  } catch (error) {
    return { isAvailable: false, reason: (error as CudaError).message };
  }
}
