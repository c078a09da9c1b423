export type { CudaErrorCode, CudaErrorKind } from "./cuda-error.ts";
export { CudaError } from "./cuda-error.ts";
export type { CudaAvailability } from "./is-cuda-available.ts";
export { isCudaAvailable } from "./is-cuda-available.ts";
export type {
  CopyOptions,
  Cuda,
  CudaContext,
  CudaDevice,
  CudaEvent,
  CudaMemory,
  CudaOptions,
  CudaStream,
} from "./cuda.ts";
export { defaultCudaLibrary, openCuda } from "./cuda.ts";
export type { NvLinkState, Nvml, NvmlDevice, NvmlOptions, XidEvent } from "./nvml.ts";
export { defaultNvmlLibrary, openNvml } from "./nvml.ts";
export { kvKernelsPtx } from "./kernels/kv-kernels.ts";
