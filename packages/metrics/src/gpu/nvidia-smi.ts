import { execFile } from "node:child_process";
import { MetricsError } from "../metrics-error.ts";
import { type GpuReading, type GpuSource, reading } from "./gpu-source.ts";

export interface NvidiaSmiOptions {
  /** Default `nvidia-smi`, found through PATH. */
  readonly path?: string;
  /** Longest run, ms. Default 5,000: its first run loads the driver. */
  readonly timeoutMs?: number;
}

const query = [
  "index",
  "uuid",
  "name",
  "utilization.gpu",
  "utilization.memory",
  "power.draw",
  "power.limit",
  "memory.used",
  "memory.total",
  "temperature.gpu",
  "clocks.sm",
] as const;

/** GPUs as `nvidia-smi --query-gpu` shows them. It has no energy counter: the sampler integrates power instead. */
export function nvidiaSmi(options: NvidiaSmiOptions = {}): GpuSource {
  const path = options.path ?? "nvidia-smi";
  return {
    name: "nvidia_smi",
    read: (signal) =>
      new Promise((resolve, reject) => {
        const args = [`--query-gpu=${query.join(",")}`, "--format=csv,noheader,nounits"];
        execFile(
          path,
          args,
          { signal, timeout: options.timeoutMs ?? 5_000, encoding: "utf8" },
          (error, stdout) => {
            if (error === null) {
              resolve(readNvidiaSmi(stdout));
              return;
            }
            const why =
              "code" in error && error.code === "ENOENT"
                ? "it is not installed"
                : error.message.split("\n")[0];
            reject(
              new MetricsError({
                code: "METRICS_SOURCE_FAILED",
                kind: "unavailable",
                message: `${path} cannot be run: ${why}. Install the NVIDIA driver, or give its path.`,
                cause: error,
              }),
            );
          },
        );
      }),
  };
}

function readNvidiaSmi(csv: string): GpuReading[] {
  return csv
    .trim()
    .split("\n")
    .filter((row) => row !== "")
    .map((row) => {
      const cells = new Map(row.split(",").map((cell, i) => [query[i], cell.trim()]));
      const figure = (name: (typeof query)[number], factor: number): number | undefined => {
        const text = cells.get(name) ?? "";
        return /^-?\d/.test(text) ? Number(text) * factor : undefined;
      };
      return reading(
        { gpu: cells.get("index") ?? "", uuid: cells.get("uuid") ?? "", model: cells.get("name") ?? "" },
        {
          utilizationRatio: figure("utilization.gpu", 0.01),
          memoryCopyRatio: figure("utilization.memory", 0.01),
          powerWatts: figure("power.draw", 1),
          powerLimitWatts: figure("power.limit", 1),
          memoryUsedBytes: figure("memory.used", 1_048_576),
          memoryTotalBytes: figure("memory.total", 1_048_576),
          temperatureCelsius: figure("temperature.gpu", 1),
          smClockHertz: figure("clocks.sm", 1_000_000),
        },
      );
    });
}
