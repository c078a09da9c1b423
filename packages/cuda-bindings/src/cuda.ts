import { createContext, type CudaContext } from "./context/cuda-context.ts";
import { loadCudaAddon } from "./cuda-addon.ts";
import { calling, CudaError } from "./cuda-error.ts";

/** The driver's library as the loader finds it. */
export const defaultCudaLibrary = "libcuda.so.1";

export interface CudaOptions {
  /** Library to open. Default `libcuda.so.1`. */
  readonly library?: string;
}

export interface CudaDevice {
  readonly index: number;
  readonly name: string;
  readonly pciBusId: string;
  /** As nvidia-smi prints it: `GPU-xxxxxxxx-…`. */
  readonly uuid: string;
  readonly totalBytes: number;
  /** Compute capability, `9.0` for Hopper. */
  readonly computeCapability: string;
  readonly multiprocessors: number;
  /** Whether `allocatePooled` works. */
  readonly hasPools: boolean;
  /** Kinds of handles that `allocateShareable` can give. Fabric handles also need the node's fabric manager or IMEX. */
  readonly hasFdHandles: boolean;
  readonly hasFabricHandles: boolean;
}

export interface Cuda {
  /** 12040 for CUDA 12.4. */
  readonly driverVersion: number;
  readonly devices: readonly CudaDevice[];
  canAccessPeer(device: number, peer: number): boolean;
  /** The device's primary context, the one that engines in this process use too. */
  context(device: number): CudaContext;
}

/**
 * Opens the CUDA driver.
 *
 * @throws CudaError CUDA_UNAVAILABLE with the reason: no addon, no driver, one too old, no device
 */
export function openCuda({ library = defaultCudaLibrary }: CudaOptions = {}): Cuda {
  const loaded = loadCudaAddon();
  if (!loaded.isAvailable)
    throw new CudaError("CUDA_UNAVAILABLE", `CUDA is not available: ${loaded.reason}.`);
  const { addon } = loaded;
  const native = calling("CUDA_DRIVER_FAILED", () => new addon.Cuda(library));
  const devices = calling("CUDA_DRIVER_FAILED", () => native.devices()).map(
    ({ uuid, major, minor, ...device }): CudaDevice => ({
      ...device,
      uuid: uuidText(uuid),
      computeCapability: `${major}.${minor}`,
    }),
  );
  if (devices.length === 0)
    throw new CudaError(
      "CUDA_UNAVAILABLE",
      "CUDA is not available: the driver sees no device (CUDA_VISIBLE_DEVICES?).",
    );
  return {
    driverVersion: calling("CUDA_DRIVER_FAILED", () => native.driverVersion()),
    devices,
    canAccessPeer: (device, peer) => calling("CUDA_DRIVER_FAILED", () => native.canAccessPeer(device, peer)),
    context(index) {
      const device = devices[index];
      if (device === undefined)
        throw new CudaError(
          "CUDA_INVALID",
          `There is no CUDA device ${index}: ${devices.length} are visible.`,
          { index },
        );
      return createContext(
        addon,
        calling("CUDA_DRIVER_FAILED", () => native.retain(index)),
        device,
      );
    },
  };
}

function uuidText(raw: Uint8Array): string {
  const hex = Buffer.from(raw).toString("hex");
  return `GPU-${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}
