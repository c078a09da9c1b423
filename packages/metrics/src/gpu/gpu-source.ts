/** One look at one GPU, in base units. What a source cannot say is absent, never 0. */
export interface GpuReading {
  /** Index on its machine, as the source numbers it. */
  readonly gpu: string;
  readonly uuid: string;
  /** Marketing name, e.g. `NVIDIA H100 80GB HBM3`. */
  readonly model?: string;
  /** Share of time in which any kernel ran. */
  readonly utilizationRatio?: number;
  /** Share of cycles in which the tensor cores were active. */
  readonly tensorActiveRatio?: number;
  /** Share of time in which device memory was read or written. */
  readonly memoryCopyRatio?: number;
  readonly powerWatts?: number;
  readonly powerLimitWatts?: number;
  /** Energy since the driver was loaded. */
  readonly energyJoules?: number;
  readonly memoryUsedBytes?: number;
  readonly memoryTotalBytes?: number;
  readonly temperatureCelsius?: number;
  readonly smClockHertz?: number;
  /** The last XID error; 0 is none. */
  readonly lastXid?: number;
  readonly nvlinkTransmitBytesPerSecond?: number;
  readonly nvlinkReceiveBytesPerSecond?: number;
  readonly pcieTransmitBytesPerSecond?: number;
  readonly pcieReceiveBytesPerSecond?: number;
}

/** Where GPU figures come from. */
export interface GpuSource {
  /** Value of the `source` label: `dcgm`, `nvidia_smi`, `nvml`. */
  readonly name: string;
  /**
   * All GPUs of the machine now.
   *
   * @throws MetricsError `METRICS_SOURCE_FAILED`.
   */
  read(signal: AbortSignal): Promise<readonly GpuReading[]>;
  close?(): void;
}

/** `fields` without those that are undefined or not finite: an absent figure has no series. */
export function reading(
  identity: Pick<GpuReading, "gpu" | "uuid" | "model">,
  fields: Readonly<Record<string, number | undefined>>,
): GpuReading {
  const present = Object.entries(fields).filter(([, value]) => value !== undefined && Number.isFinite(value));
  return { ...identity, ...Object.fromEntries(present) };
}
