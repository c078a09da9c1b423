import type { Counter, Family, Gauge, Meter } from "@stator/core";
import type { GpuReading } from "./gpu-source.ts";

export type GpuLabel = "gpu" | "uuid";
type GpuField = Exclude<keyof GpuReading, "gpu" | "uuid" | "model">;

/** Name, unit and help of each figure of a GPU. */
const gauges: Readonly<
  Record<Exclude<GpuField, "energyJoules">, readonly [name: string, unit: string, help: string]>
> = {
  utilizationRatio: ["gpu_utilization", "ratio", "Share of time in which any kernel ran."],
  tensorActiveRatio: ["gpu_tensor_active", "ratio", "Share of cycles in which the tensor cores were active."],
  memoryCopyRatio: ["gpu_memory_copy", "ratio", "Share of time in which device memory was read or written."],
  powerWatts: ["gpu_power", "watts", "Power draw."],
  powerLimitWatts: ["gpu_power_limit", "watts", "Power limit in force."],
  memoryUsedBytes: ["gpu_memory_used", "bytes", "Device memory in use."],
  memoryTotalBytes: ["gpu_memory_total", "bytes", "Device memory in all."],
  temperatureCelsius: ["gpu_temperature", "celsius", "Temperature of the GPU."],
  smClockHertz: ["gpu_sm_clock", "hertz", "Clock of the streaming multiprocessors."],
  lastXid: ["gpu_last_xid", "", "Number of the last XID error; 0 is none."],
  nvlinkTransmitBytesPerSecond: ["gpu_nvlink_transmit", "bytes_per_second", "NVLink traffic out, all links."],
  nvlinkReceiveBytesPerSecond: ["gpu_nvlink_receive", "bytes_per_second", "NVLink traffic in, all links."],
  pcieTransmitBytesPerSecond: ["gpu_pcie_transmit", "bytes_per_second", "PCIe traffic out."],
  pcieReceiveBytesPerSecond: ["gpu_pcie_receive", "bytes_per_second", "PCIe traffic in."],
};

export interface GpuFamilies {
  readonly gauges: ReadonlyMap<Exclude<GpuField, "energyJoules">, Family<Gauge, GpuLabel>>;
  readonly energy: Family<Counter, GpuLabel>;
  readonly info: Family<Gauge, GpuLabel | "model">;
  readonly sourceUp: Family<Gauge, "source">;
  readonly energyPerThousandTokens: Family<Gauge, "scope">;
}

export function createGpuFamilies(meter: Meter): GpuFamilies {
  const labels = ["gpu", "uuid"] as const;
  return {
    gauges: new Map(
      Object.entries(gauges).map(([field, [name, unit, help]]) => [
        field as Exclude<GpuField, "energyJoules">,
        meter.gauge({ name, unit, help, labels }),
      ]),
    ),
    energy: meter.counter({
      name: "gpu_energy",
      unit: "joules",
      help: "Energy used since the sampler started.",
      labels,
    }),
    info: meter.gauge({
      name: "gpu_info",
      help: "Always 1; model of a GPU.",
      labels: ["gpu", "uuid", "model"],
    }),
    sourceUp: meter.gauge({
      name: "gpu_source_up",
      help: "1 while this source of GPU figures answers, 0 while it does not.",
      labels: ["source"],
    }),
    energyPerThousandTokens: meter.gauge({
      name: "gpu_energy_per_thousand_output_tokens",
      unit: "joules",
      help: "Energy of this machine's GPUs for each 1,000 output tokens of this process, over the sampler's window. Absent while there are no tokens.",
      labels: ["scope"],
    }),
  };
}
