import { linkAbort } from "@stator/core";
import { MetricsError } from "../metrics-error.ts";
import { type GpuReading, type GpuSource, reading } from "./gpu-source.ts";
import { type ExposedSample, parseExposition } from "./parse-exposition.ts";

export interface DcgmExporterOptions {
  /** The exporter's metrics page. Default `http://127.0.0.1:9400/metrics`. */
  readonly url?: string;
  /** Longest wait for it, ms. Default 1,000. */
  readonly timeoutMs?: number;
  /** Default the runtime's `fetch`. */
  readonly fetch?: (
    url: string,
    init: { signal: AbortSignal },
  ) => Promise<Pick<Response, "ok" | "status" | "text">>;
}

/** Default of `DcgmExporterOptions.url`: the exporter's own default port. */
export const defaultDcgmUrl: string = "http://127.0.0.1:9400/metrics";

const mebibyte = 1_048_576;

/** Field, our name, and factor to base units. Units: DCGM API reference, field identifiers. */
const fields: readonly (readonly [string, keyof GpuReading, number])[] = [
  ["DCGM_FI_DEV_GPU_UTIL", "utilizationRatio", 0.01],
  ["DCGM_FI_PROF_PIPE_TENSOR_ACTIVE", "tensorActiveRatio", 1],
  ["DCGM_FI_DEV_MEM_COPY_UTIL", "memoryCopyRatio", 0.01],
  ["DCGM_FI_DEV_POWER_USAGE", "powerWatts", 1],
  ["DCGM_FI_DEV_POWER_MGMT_LIMIT", "powerLimitWatts", 1],
  ["DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION", "energyJoules", 0.001],
  ["DCGM_FI_DEV_FB_USED", "memoryUsedBytes", mebibyte],
  ["DCGM_FI_DEV_GPU_TEMP", "temperatureCelsius", 1],
  ["DCGM_FI_DEV_SM_CLOCK", "smClockHertz", 1_000_000],
  ["DCGM_FI_DEV_XID_ERRORS", "lastXid", 1],
  ["DCGM_FI_PROF_NVLINK_TX_BYTES", "nvlinkTransmitBytesPerSecond", 1],
  ["DCGM_FI_PROF_NVLINK_RX_BYTES", "nvlinkReceiveBytesPerSecond", 1],
  ["DCGM_FI_PROF_PCIE_TX_BYTES", "pcieTransmitBytesPerSecond", 1],
  ["DCGM_FI_PROF_PCIE_RX_BYTES", "pcieReceiveBytesPerSecond", 1],
];

/** GPUs as NVIDIA's dcgm-exporter shows them. MIG instances are left out; their GPU is read as a whole. */
export function dcgmExporter(options: DcgmExporterOptions = {}): GpuSource {
  const url = options.url ?? defaultDcgmUrl;
  const get = options.fetch ?? fetch;
  return {
    name: "dcgm",
    async read(signal) {
      const timeoutMs = options.timeoutMs ?? 1_000;
      const limit = linkAbort(signal);
      const timer = setTimeout(() => limit.abort(new Error(`no answer within ${timeoutMs} ms`)), timeoutMs);
      try {
        const response = await get(url, { signal: limit.signal });
        if (!response.ok) throw new Error(`HTTP ${response.status}`);
        return readDcgm(parseExposition(await response.text()));
      } catch (cause) {
        const why = cause instanceof Error ? cause.message : String(cause);
        throw new MetricsError({
          code: "METRICS_SOURCE_FAILED",
          kind: "unavailable",
          message: `dcgm-exporter at ${url} cannot be read: ${why}. Start it, or give its url.`,
          cause,
        });
      } finally {
        clearTimeout(timer);
        limit.unlink();
      }
    },
  };
}

function readDcgm(samples: readonly ExposedSample[]): GpuReading[] {
  const byGpu = new Map<string, { labels: ReadonlyMap<string, string>; values: Map<string, number> }>();
  for (const { name, labels, value } of samples) {
    const uuid = labels.get("UUID");
    if (uuid === undefined || labels.has("GPU_I_ID")) continue;
    let gpu = byGpu.get(uuid);
    if (gpu === undefined) {
      gpu = { labels, values: new Map() };
      byGpu.set(uuid, gpu);
    }
    gpu.values.set(name, value);
  }
  return [...byGpu].map(([uuid, { labels, values }]) => {
    const read: Record<string, number | undefined> = {};
    for (const [field, ours, factor] of fields) {
      const value = values.get(field);
      if (value !== undefined) read[ours] = value * factor;
    }
    const free = values.get("DCGM_FI_DEV_FB_FREE");
    const used = values.get("DCGM_FI_DEV_FB_USED");
    if (free !== undefined && used !== undefined)
      read["memoryTotalBytes"] = (free + used + (values.get("DCGM_FI_DEV_FB_RESERVED") ?? 0)) * mebibyte;
    const model = labels.get("modelName");
    return reading({ gpu: labels.get("gpu") ?? "", uuid, ...(model === undefined ? {} : { model }) }, read);
  });
}
