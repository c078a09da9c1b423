import { MetricsError } from "../metrics-error.ts";
import { type GpuReading, type GpuSource, reading } from "./gpu-source.ts";

/**
 * One device of NVML, in NVML's own units. A method that is missing, throws or answers undefined stands for a figure
 * that the device does not have (`NVML_ERROR_NOT_SUPPORTED`).
 */
export interface NvmlDevice {
  readonly index: number;
  readonly uuid: string;
  readonly name?: string;
  /** Percent: nvmlDeviceGetUtilizationRates. */
  utilization?(): { readonly gpu: number; readonly memory: number } | undefined;
  /** nvmlDeviceGetPowerUsage. */
  powerMilliwatts?(): number | undefined;
  /** nvmlDeviceGetEnforcedPowerLimit. */
  powerLimitMilliwatts?(): number | undefined;
  /** nvmlDeviceGetTotalEnergyConsumption. */
  energyMillijoules?(): number | bigint | undefined;
  /** nvmlDeviceGetMemoryInfo. */
  memory?(): { readonly usedBytes: number | bigint; readonly totalBytes: number | bigint } | undefined;
  /** nvmlDeviceGetTemperature. */
  temperatureCelsius?(): number | undefined;
  /** nvmlDeviceGetClockInfo(SM). */
  smClockMegahertz?(): number | undefined;
  /** nvmlDeviceGetPcieThroughput, kilobytes per second. */
  pcieKilobytesPerSecond?(): { readonly transmit: number; readonly receive: number } | undefined;
}

/** NVML, opened. `@stator/cuda-bindings` makes one; passed in, so that this package needs no native code. */
export interface Nvml {
  devices(): readonly NvmlDevice[];
  close?(): void;
}

/** GPUs through NVML. */
export function nvml(api: Nvml): GpuSource {
  return {
    name: "nvml",
    read() {
      try {
        return Promise.resolve(api.devices().map(readDevice));
      } catch (cause) {
        const why = cause instanceof Error ? cause.message : String(cause);
        const message = `NVML cannot be read: ${why}. Check that the NVIDIA driver is loaded.`;
        return Promise.reject(
          new MetricsError({ code: "METRICS_SOURCE_FAILED", kind: "unavailable", message, cause }),
        );
      }
    },
    ...(api.close === undefined ? {} : { close: () => api.close?.() }),
  };
}

function readDevice(device: NvmlDevice): GpuReading {
  const utilization = tried(() => device.utilization?.());
  const memory = tried(() => device.memory?.());
  const pcie = tried(() => device.pcieKilobytesPerSecond?.());
  const scaled = (read: () => number | bigint | undefined, factor: number): number | undefined => {
    const value = tried(read);
    return value === undefined ? undefined : Number(value) * factor;
  };
  return reading(
    {
      gpu: String(device.index),
      uuid: device.uuid,
      ...(device.name === undefined ? {} : { model: device.name }),
    },
    {
      utilizationRatio: scaled(() => utilization?.gpu, 0.01),
      memoryCopyRatio: scaled(() => utilization?.memory, 0.01),
      powerWatts: scaled(() => device.powerMilliwatts?.(), 0.001),
      powerLimitWatts: scaled(() => device.powerLimitMilliwatts?.(), 0.001),
      energyJoules: scaled(() => device.energyMillijoules?.(), 0.001),
      memoryUsedBytes: scaled(() => memory?.usedBytes, 1),
      memoryTotalBytes: scaled(() => memory?.totalBytes, 1),
      temperatureCelsius: scaled(() => device.temperatureCelsius?.(), 1),
      smClockHertz: scaled(() => device.smClockMegahertz?.(), 1_000_000),
      pcieTransmitBytesPerSecond: scaled(() => pcie?.transmit, 1_000),
      pcieReceiveBytesPerSecond: scaled(() => pcie?.receive, 1_000),
    },
  );
}

function tried<Value>(read: () => Value): Value | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}
