import { SimulatorError } from "@stator/simulator/performance-model";
import { predictAggregated, predictDisaggregated, saturatedLoad } from "../serving/predict.ts";
import type { ServingPrediction } from "../serving/predict.ts";
import type { MeasuredRow } from "./measured-row.ts";
import { parseMeasuredCsv } from "./measured-row.ts";
import { specOfRow } from "./row-spec.ts";

/** Errors over some rows, in per cent of the measured value. */
export interface ErrorScore {
  readonly rows: number;
  readonly tpotMape: number;
  readonly tpotMedian: number;
  readonly ttftMape: number;
  readonly ttftMedian: number;
}

export interface ValidationReport {
  /** Over rows that were not excluded. */
  readonly overall: ErrorScore;
  /** Over every row that can be predicted at all. */
  readonly withExcluded: ErrorScore;
  readonly excluded: {
    readonly rows: number;
    /** Share of the predicted rows, in per cent; never above 15. */
    readonly share: number;
    /** Why, and how many rows each. */
    readonly reasons: Readonly<Record<string, number>>;
  };
  /** Rows that no prediction was made for, by reason: unknown model or system, no batch size. */
  readonly skipped: Readonly<Record<string, number>>;
  readonly byBackend: Readonly<Record<string, ErrorScore>>;
  readonly bySystem: Readonly<Record<string, ErrorScore>>;
  readonly byModel: Readonly<Record<string, ErrorScore>>;
  readonly byMode: Readonly<Record<string, ErrorScore>>;
}

/** Use of the KV cache past which requests wait for blocks now and then: lengths spread and blocks fragment. */
const fullCache = 0.85;

/** One row beside its prediction. */
export interface ValidatedRow {
  readonly row: MeasuredRow;
  readonly ttftMs: number;
  readonly tpotMs: number;
  /** Why this row does not count in `overall`; undefined when it does. */
  readonly excludedFor: string | undefined;
}

/** Largest share of rows that may be excluded. */
const maxExcludedShare = 0.15;

/**
 * Predicts every measured row of a CSV (columns of AIConfigurator's silicon samples).
 *
 * Rows are excluded from `overall` only by their inputs and our own prediction: those that do not give the worker counts
 * or the batch, and those predicted to be saturated; the most saturated first, never more than 15 % of all.
 */
export function validateRows(csv: string): {
  rows: readonly ValidatedRow[];
  skipped: Readonly<Record<string, number>>;
} {
  const measured = parseMeasuredCsv(csv);
  const skipped: Record<string, number> = { ...measured.skipped };
  const skip = (reason: string): void => void (skipped[reason] = (skipped[reason] ?? 0) + 1);
  const predicted: {
    row: MeasuredRow;
    ttftMs: number;
    tpotMs: number;
    reason: string | undefined;
    severity: number;
  }[] = [];
  for (const row of measured.rows) {
    try {
      const spec = specOfRow(row);
      if (spec === undefined) {
        skip("no batch or sizes");
        continue;
      }
      if (spec.mode === "agg") {
        const prediction = predictAggregated(spec.worker, row, spec.concurrency);
        predicted.push({ row, ...judged(prediction, spec.concurrency / prediction.capacityPerRank, 0) });
      } else {
        const prediction = predictDisaggregated(spec.spec, row);
        const judgement = judged(
          prediction,
          spec.spec.decodeBatch / prediction.capacityPerRank,
          prediction.prefillLoad,
        );
        predicted.push({
          row,
          ...judgement,
          ...(spec.isGuess ? { reason: "worker counts or batch not given", severity: 0.5 } : {}),
        });
      }
    } catch (error) {
      if (!SimulatorError.isInstance(error)) throw error;
      const reason =
        error.code === "SIMULATOR_MODEL_UNKNOWN"
          ? `unknown model ${row.model}`
          : error.code === "SIMULATOR_SYSTEM_UNKNOWN"
            ? `unknown system ${row.system}`
            : error.code;
      skip(reason);
    }
  }
  const limit = Math.floor(predicted.length * maxExcludedShare);
  const excluded = new Set(
    predicted
      .filter(({ reason }) => reason !== undefined)
      .sort((a, b) => b.severity - a.severity)
      .slice(0, limit),
  );
  const rows = predicted.map((entry) => ({
    row: entry.row,
    ttftMs: entry.ttftMs,
    tpotMs: entry.tpotMs,
    excludedFor: excluded.has(entry) ? entry.reason : undefined,
  }));
  return { rows, skipped };
}

function judged(
  { ttftMs, tpotMs }: ServingPrediction,
  kvUse: number,
  prefillLoad: number,
): { ttftMs: number; tpotMs: number; reason: string | undefined; severity: number } {
  if (kvUse > fullCache) return { ttftMs, tpotMs, reason: "predicted KV cache full", severity: 1 + kvUse };
  if (prefillLoad > saturatedLoad)
    return { ttftMs, tpotMs, reason: "predicted prefill saturated", severity: 1 + prefillLoad / 2 };
  return { ttftMs, tpotMs, reason: undefined, severity: 0 };
}

/**
 * Scores predictions against measured deployments.
 *
 * @param csv text in the format of AIConfigurator's silicon samples
 */
export function validate(csv: string): ValidationReport {
  const { rows, skipped } = validateRows(csv);
  const counted = rows.filter((row) => row.excludedFor === undefined);
  const reasons: Record<string, number> = {};
  for (const { excludedFor } of rows)
    if (excludedFor !== undefined) reasons[excludedFor] = (reasons[excludedFor] ?? 0) + 1;
  const partition = (key: (row: MeasuredRow) => string): Record<string, ErrorScore> => {
    const parts = new Map<string, ValidatedRow[]>();
    for (const entry of counted) {
      const part = parts.get(key(entry.row));
      if (part) part.push(entry);
      else parts.set(key(entry.row), [entry]);
    }
    return Object.fromEntries(
      [...parts].sort(([a], [b]) => a.localeCompare(b)).map(([name, entries]) => [name, scoreOf(entries)]),
    );
  };
  return {
    overall: scoreOf(counted),
    withExcluded: scoreOf(rows),
    excluded: {
      rows: rows.length - counted.length,
      share: rows.length === 0 ? 0 : round(((rows.length - counted.length) / rows.length) * 100),
      reasons,
    },
    skipped,
    byBackend: partition((row) => row.backend),
    bySystem: partition((row) => row.system),
    byModel: partition((row) => row.model),
    byMode: partition((row) => row.mode),
  };
}

function scoreOf(rows: readonly ValidatedRow[]): ErrorScore {
  const tpot = rows.map(({ row, tpotMs }) => Math.abs(tpotMs / row.tpotMs - 1) * 100);
  const ttft = rows.map(({ row, ttftMs }) => Math.abs(ttftMs / row.ttftMs - 1) * 100);
  return {
    rows: rows.length,
    tpotMape: mean(tpot),
    tpotMedian: median(tpot),
    ttftMape: mean(ttft),
    ttftMedian: median(ttft),
  };
}

function mean(values: readonly number[]): number {
  return values.length === 0 ? 0 : round(values.reduce((sum, value) => sum + value, 0) / values.length);
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return round(
    sorted.length % 2 === 1 ? (sorted[middle] ?? 0) : ((sorted[middle - 1] ?? 0) + (sorted[middle] ?? 0)) / 2,
  );
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}
