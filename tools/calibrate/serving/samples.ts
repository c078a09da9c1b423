// What a prediction of each measured deployment needs, with every fitted factor still apart.
import { readFileSync } from "node:fs";
import {
  architectureOf,
  coefficientsFor,
  generationOf,
  floorKey,
  layerCount,
  operationsOfStep,
  rooflineTime,
  sequenceCapacity,
  workKey,
} from "@stator/simulator/performance-model";
import type { Architecture, BackendName, Generation, StepBatch } from "@stator/simulator/performance-model";
import {
  defaultStepTokens,
  predictDisaggregated,
  promptsPerStep,
} from "../../../packages/configurator/src/serving/predict.ts";
import type { WorkerSpec } from "../../../packages/configurator/src/serving/predict.ts";
import { parseMeasuredRows } from "../../../packages/configurator/src/validate/measured-row.ts";
import type { MeasuredRow } from "../../../packages/configurator/src/validate/measured-row.ts";
import { specOfRow } from "../../../packages/configurator/src/validate/row-spec.ts";
import type { RowSpec } from "../../../packages/configurator/src/validate/row-spec.ts";

/** Milliseconds of a step by kind of kernel, unscaled. */
export type Parts = readonly (readonly [key: string, ms: number])[];

export interface Sample {
  readonly row: MeasuredRow;
  readonly spec: RowSpec;
  readonly worker: WorkerSpec;
  readonly engine: BackendName;
  readonly architecture: Architecture;
  /** Architecture, with Blackwell Ultra apart: engines build other kernels for it. */
  readonly generation: Generation;
  readonly layers: number;
  readonly running: number;
  readonly together: number;
  readonly decode: Parts;
  readonly mixed: Parts;
  readonly first: Parts;
  /** A prefill worker's step when prompts queue, and how many it takes together. Aggregated: as `first`. */
  readonly full: Parts;
  readonly fullPrompts: number;
  /** Rows of one engine, generation, model and mode weigh as the root of their number together. */
  readonly weight: number;
}

const file = new URL("../../../../shared/perf-data/measured_serving_train.csv", import.meta.url).pathname;

function partsOf(worker: WorkerSpec, batch: StepBatch): Parts {
  const coefficients = { ...coefficientsFor(worker.system), scale: {} };
  const parts = new Map<string, number>();
  for (const { count, shape } of operationsOfStep({ ...worker, batch })) {
    const { workMs, floorMs } = rooflineTime(shape, worker.system, coefficients);
    const add = (key: string, ms: number): void => void parts.set(key, (parts.get(key) ?? 0) + count * ms);
    add(workKey(shape), workMs);
    add(floorKey(shape), floorMs);
  }
  return [...parts];
}

function sampleOf(row: MeasuredRow): Omit<Sample, "weight"> | undefined {
  const spec = specOfRow(row);
  // Rows that do not say how many requests a rank serves teach nothing.
  if (spec === undefined || (spec.mode === "disagg" && spec.isGuess)) return undefined;
  const worker = spec.mode === "agg" ? spec.worker : spec.spec.decode;
  const concurrency = spec.mode === "agg" ? spec.concurrency : spec.spec.decodeBatch;
  const { inputTokens, outputTokens } = row;
  // Saturated rows measure the queue, not the engine.
  if (sequenceCapacity(worker, inputTokens + outputTokens) < concurrency) return undefined;
  const running = spec.mode === "agg" ? concurrency : predictDisaggregated(spec.spec, row).runningPerRank;
  const { pipeline } = worker.parallelism;
  const together = Math.max(1, Math.min(running / outputTokens, defaultStepTokens / inputTokens));
  const decode = { sequences: running / pipeline, contextTokens: inputTokens + outputTokens / 2 };
  const prefill = { newTokens: inputTokens, pastTokens: 0 };
  const first =
    spec.mode === "agg"
      ? partsOf(worker, {
          decode: { ...decode, sequences: Math.max(0.001, (running - 1) / pipeline) },
          prefill: [{ sequences: 1, pastTokens: 0, newTokens: Math.min(inputTokens, defaultStepTokens) }],
        })
      : partsOf(spec.spec.prefill, { prefill: [{ sequences: 1, ...prefill }] });
  const fullPrompts = promptsPerStep(inputTokens);
  return {
    row,
    spec,
    worker,
    running,
    together,
    first,
    fullPrompts,
    full:
      fullPrompts === 1
        ? first
        : spec.mode === "agg"
          ? partsOf(worker, { decode, prefill: [{ sequences: fullPrompts, ...prefill }] })
          : partsOf(spec.spec.prefill, { prefill: [{ sequences: fullPrompts, ...prefill }] }),
    architecture: architectureOf(worker.system),
    generation: generationOf(worker.system, { backend: row.backend, version: worker.engineVersion }),
    engine: row.backend,
    layers: layerCount(worker.model),
    decode: partsOf(worker, { decode }),
    mixed: partsOf(worker, { decode, prefill: [{ sequences: together, ...prefill }] }),
  };
}

/** Every row of the measured file that says enough. */
export function readSamples(): Sample[] {
  const found = parseMeasuredRows(readFileSync(file, "utf8"))
    .map(sampleOf)
    .filter((sample) => sample !== undefined);
  const key = ({ row, engine, architecture }: Omit<Sample, "weight">): string =>
    [engine, architecture, row.model, row.mode].join(" ");
  const counts = new Map<string, number>();
  for (const sample of found) counts.set(key(sample), (counts.get(key(sample)) ?? 0) + 1);
  return found.map((sample) => ({
    ...sample,
    weight: 1 / Math.sqrt(counts.get(key(sample)) ?? 1),
  }));
}
