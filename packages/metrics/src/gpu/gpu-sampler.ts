import {
  type Clock,
  type Logger,
  type Meter,
  silentLogger,
  StatorError,
  systemClock,
  type Timer,
} from "@stator/core";
import { invalid } from "../metrics-error.ts";
import { createGpuFamilies, type GpuLabel } from "./gpu-families.ts";
import type { GpuReading, GpuSource } from "./gpu-source.ts";

export interface GpuSamplerOptions {
  /** Where the figures go: `createMetrics()`. */
  readonly metrics: Meter;
  /** Tried in this order at each sample; the first that answers gives the figures. */
  readonly sources: readonly GpuSource[];
  /** Between samples, ms. Default 1,000. At least 100. */
  readonly intervalMs?: number;
  /** Output tokens of this process so far: gives energy per 1,000 tokens. Default: that figure is left to PromQL. */
  readonly outputTokens?: () => number;
  /** Over which energy per 1,000 tokens is taken, ms. Default 60,000. */
  readonly windowMs?: number;
  readonly clock?: Clock;
  readonly logger?: Logger;
}

export interface GpuSampler {
  /** Samples now; resolves when the figures are in. Never rejects. */
  sample(): Promise<void>;
  /** Stops and removes every series. */
  close(): void;
}

/** A source that does not answer is asked again after this long, ms. */
const retryMs = 10_000;

interface Known {
  readonly labels: Record<GpuLabel, string>;
  readonly model: string | undefined;
  readonly shown: Set<string>;
  lastEnergyJoules: number | undefined;
  lastPower: { readonly watts: number; readonly atMs: number } | undefined;
}

/**
 * Reads GPUs every second. No GPU, or no source that answers: no series, and `stator_gpu_source_up 0`.
 *
 * @throws MetricsError `METRICS_OPTION_INVALID`.
 */
export function createGpuSampler(options: GpuSamplerOptions): GpuSampler {
  const { sources, clock = systemClock, logger = silentLogger, windowMs = 60_000 } = options;
  const intervalMs = options.intervalMs ?? 1_000;
  if (!(intervalMs >= 100))
    throw invalid("METRICS_OPTION_INVALID", `intervalMs is ${intervalMs}; give at least 100 ms.`);
  const families = createGpuFamilies(options.metrics);
  const known = new Map<string, Known>();
  const retryAtMs = new Map<GpuSource, number>();
  // One signal per sample: a signal that lives as long as the process would gather what its users leave on it.
  let current: AbortController | undefined;
  let isClosed = false;
  const window: { atMs: number; joules: number; tokens: number }[] = [];
  let joules = 0;
  let isDownTold = false;
  let timer: Timer | undefined;
  let running: Promise<void> | undefined;
  for (const source of sources) families.sourceUp.labels({ source: source.name }).set(0);

  async function readFirst(): Promise<readonly GpuReading[] | undefined> {
    let found: readonly GpuReading[] | undefined;
    current = new AbortController();
    for (const source of sources) {
      const up = families.sourceUp.labels({ source: source.name });
      if (found !== undefined || clock.now() < (retryAtMs.get(source) ?? Number.NEGATIVE_INFINITY)) {
        up.set(0);
        continue;
      }
      try {
        const readings = await source.read(current.signal);
        up.set(readings.length > 0 ? 1 : 0);
        if (readings.length > 0) found = readings;
      } catch (error) {
        up.set(0);
        retryAtMs.set(source, clock.now() + retryMs);
        if (!isDownTold)
          logger.warn("A GPU source does not answer.", {
            source: source.name,
            reason: StatorError.from(error).message,
          });
      }
    }
    isDownTold = found === undefined;
    return found;
  }

  function show(reading: GpuReading, atMs: number): void {
    const labels = { gpu: reading.gpu, uuid: reading.uuid };
    let gpu = known.get(reading.uuid);
    if (gpu === undefined) {
      gpu = {
        labels,
        model: reading.model,
        shown: new Set(),
        lastEnergyJoules: undefined,
        lastPower: undefined,
      };
      known.set(reading.uuid, gpu);
      families.info.labels({ ...labels, model: reading.model ?? "" }).set(1);
    }
    for (const [field, family] of families.gauges) {
      const value = reading[field];
      if (value !== undefined) {
        family.labels(labels).set(value);
        gpu.shown.add(field);
      } else if (gpu.shown.delete(field)) family.remove(labels);
    }
    const used = energySince(gpu, reading, atMs);
    if (used === undefined) return;
    families.energy.labels(labels).add(used);
    joules += used;
  }

  function showEnergyPerTokens(atMs: number): void {
    if (options.outputTokens === undefined) return;
    window.push({ atMs, joules, tokens: options.outputTokens() });
    while ((window[0]?.atMs ?? atMs) < atMs - windowMs) window.shift();
    const first = window[0];
    const last = window.at(-1);
    const tokens = (last?.tokens ?? 0) - (first?.tokens ?? 0);
    const scope = { scope: "process" };
    if (first === undefined || last === undefined || tokens <= 0)
      families.energyPerThousandTokens.remove(scope);
    else families.energyPerThousandTokens.labels(scope).set(((last.joules - first.joules) / tokens) * 1_000);
  }

  function forget(gpu: Known): void {
    for (const family of families.gauges.values()) family.remove(gpu.labels);
    families.energy.remove(gpu.labels);
    families.info.remove({ ...gpu.labels, model: gpu.model ?? "" });
    known.delete(gpu.labels.uuid);
  }

  async function sampleOnce(): Promise<void> {
    const readings = (await readFirst()) ?? [];
    if (isClosed) return;
    const atMs = clock.now();
    const present = new Set(readings.map(({ uuid }) => uuid));
    for (const [uuid, gpu] of known) if (!present.has(uuid)) forget(gpu);
    for (const reading of readings) show(reading, atMs);
    showEnergyPerTokens(atMs);
  }

  // A slow source is never asked twice at once.
  const sample = (): Promise<void> => {
    running ??= sampleOnce().finally(() => {
      running = undefined;
    });
    return running;
  };

  const again = (): void => {
    if (!isClosed) timer = clock.schedule(intervalMs, () => void sample().then(again));
  };
  void sample().then(again);

  return {
    sample,
    close() {
      isClosed = true;
      current?.abort();
      timer?.cancel();
      for (const gpu of [...known.values()]) forget(gpu);
      for (const source of sources) {
        families.sourceUp.labels({ source: source.name }).set(0);
        source.close?.();
      }
    },
  };
}

/** Joules since the last reading: by the device's counter, or by power times time where it has none. */
function energySince(gpu: Known, reading: GpuReading, atMs: number): number | undefined {
  const { energyJoules, powerWatts } = reading;
  if (energyJoules !== undefined) {
    const before = gpu.lastEnergyJoules;
    gpu.lastEnergyJoules = energyJoules;
    // A counter below its last value was reset with its driver.
    return before === undefined ? 0 : energyJoules >= before ? energyJoules - before : energyJoules;
  }
  if (powerWatts === undefined) return undefined;
  const before = gpu.lastPower;
  gpu.lastPower = { watts: powerWatts, atMs };
  return before === undefined ? 0 : (((before.watts + powerWatts) / 2) * (atMs - before.atMs)) / 1_000;
}
