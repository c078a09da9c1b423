import type { Logger } from "@stator/core";
import { openNvml } from "@stator/cuda-bindings";
import type { Metrics } from "@stator/metrics";
import {
  createGpuSampler,
  dcgmExporter,
  nvidiaSmi,
  nvml,
  type GpuSampler,
  type GpuSource,
} from "@stator/metrics/gpu";

/**
 * GPU figures of this machine, by the best source it has: NVML through our bindings, a dcgm-exporter beside us, or
 * nvidia-smi. Without any: `stator_gpu_source_up 0` and no other series. One process of a machine does this.
 */
export function sampleGpus(metrics: Metrics, logger: Logger): GpuSampler {
  // A machine without a GPU is no trouble: the metric says it, and the log only when asked.
  const quiet: Logger = { ...logger, warn: logger.debug };
  return createGpuSampler({
    metrics,
    logger: quiet,
    sources: [...boundNvml(logger), dcgmExporter(), nvidiaSmi()],
  });
}

function boundNvml(logger: Logger): GpuSource[] {
  try {
    return [nvml(openNvml())];
  } catch (error) {
    logger.debug("NVML is not used", { reason: error instanceof Error ? error.message : String(error) });
    return [];
  }
}
