export type { GpuReading, GpuSource } from "./gpu-source.ts";
export type { DcgmExporterOptions } from "./dcgm-exporter.ts";
export { dcgmExporter, defaultDcgmUrl } from "./dcgm-exporter.ts";
export type { NvidiaSmiOptions } from "./nvidia-smi.ts";
export { nvidiaSmi } from "./nvidia-smi.ts";
export type { Nvml, NvmlDevice } from "./nvml.ts";
export { nvml } from "./nvml.ts";
export type { GpuSampler, GpuSamplerOptions } from "./gpu-sampler.ts";
export { createGpuSampler } from "./gpu-sampler.ts";
