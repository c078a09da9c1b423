import type { BackendName, Parallelism } from "@stator/simulator/performance-model";
import type { Arrival } from "../serving/predict.ts";

/** One measured deployment, in the columns of AIConfigurator's silicon samples. */
export interface MeasuredRow {
  readonly id: string;
  /** Where the row came from, as the file says. */
  readonly source: string;
  readonly backend: BackendName;
  /** As the file says; empty where it does not. */
  readonly engineVersion: string;
  /** How the load generator sent requests: the column `arrival`, `closed` where the file has none. */
  readonly arrival: Arrival;
  readonly model: string;
  readonly system: string;
  readonly precision: string;
  readonly denseFormat: string;
  readonly expertFormat: string;
  readonly mode: "agg" | "disagg";
  readonly inputTokens: number;
  readonly outputTokens: number;
  /** Requests in flight per attention rank of the (decode) worker; undefined where the row does not say. */
  readonly batch: number | undefined;
  /** Requests in flight in all, where the source names it. */
  readonly concurrency: number | undefined;
  readonly split: RawSplit | undefined;
  readonly prefill: RawWorkers | undefined;
  readonly decode: RawWorkers | undefined;
  readonly ttftMs: number;
  readonly tpotMs: number;
}

/** Sizes as written in the file, before conventions are undone. */
export interface RawSplit {
  readonly tensor: number;
  readonly pipeline: number;
  readonly data: number | undefined;
  readonly expertTensor: number;
  readonly expert: number;
}

interface RawWorkers extends RawSplit {
  readonly batch: number | undefined;
  readonly workers: number | undefined;
}

/** Reads a CSV in the format of AIConfigurator's silicon samples. Rows without both measurements are left out. */
export function parseMeasuredRows(csv: string): readonly MeasuredRow[] {
  return parseMeasuredCsv(csv).rows;
}

/** The same, with what was left out counted by reason. Columns may come in any order; unknown ones are not read. */
export function parseMeasuredCsv(csv: string): {
  readonly rows: readonly MeasuredRow[];
  readonly skipped: Readonly<Record<string, number>>;
} {
  const skipped: Record<string, number> = {};
  const skip = (reason: string): void => void (skipped[reason] = (skipped[reason] ?? 0) + 1);
  const [header, ...lines] = csv
    .replace(/^\uFEFF/, "")
    .split(/\r?\n/)
    .filter((line) => line.trim() !== "");
  const names = splitCsvLine(header ?? "");
  const rows: MeasuredRow[] = [];
  for (const line of lines) {
    const cells = splitCsvLine(line);
    const at = (name: string): string => cells[names.indexOf(name)] ?? "";
    const number = (name: string): number | undefined =>
      at(name) === "" || !Number.isFinite(Number(at(name))) ? undefined : Number(at(name));
    const ttftMs = number("silicon_ttft_ms");
    const tpotMs = number("silicon_tpot_ms");
    const inputTokens = number("isl");
    const outputTokens = number("osl");
    const backend = at("backend").toLowerCase();
    if (!(ttftMs && ttftMs > 0 && tpotMs && tpotMs > 0)) {
      skip("no measured TTFT and TPOT");
      continue;
    }
    if (!(inputTokens && inputTokens > 0 && outputTokens && outputTokens > 0)) {
      skip("no input and output length");
      continue;
    }
    if (!isBackend(backend)) {
      skip(`unknown backend ${backend === "" ? "(none)" : backend}`);
      continue;
    }
    const split = (prefix: string, dataName: string): RawSplit | undefined => {
      const tensor = number(`${prefix}tp_size`);
      if (!tensor) return undefined;
      return {
        tensor,
        pipeline: number(`${prefix}pp_size`) || 1,
        data: number(`${prefix}${dataName}`) || undefined,
        expertTensor: number(`${prefix}moe_tp_size`) || 1,
        expert: number(`${prefix}moe_ep_size`) || 1,
      };
    };
    const workers = (prefix: string): RawWorkers | undefined => {
      const sizes = split(prefix, "attention_dp_size");
      return (
        sizes && { ...sizes, batch: number(`${prefix}batch_size`), workers: number(`${prefix}num_workers`) }
      );
    };
    rows.push({
      id: at("id"),
      source: at("silicon_data_source"),
      backend,
      engineVersion: at("backend_version"),
      arrival: arrivalOf(at("arrival")),
      model: at("model_path"),
      system: at("system"),
      precision: at("precision"),
      denseFormat: at("gemm_quant_mode"),
      expertFormat: at("moe_quant_mode"),
      mode: at("mode") === "disagg" ? "disagg" : "agg",
      inputTokens,
      outputTokens,
      batch: number("batch_size"),
      concurrency:
        Number(/silicon_concurrency=(\d+)/.exec(at("silicon_data_source"))?.[1] ?? Number.NaN) || undefined,
      split: split("", "attention_dp_size"),
      prefill: workers("prefill_"),
      decode: workers("decode_"),
      ttftMs,
      tpotMs,
    });
  }
  return { rows, skipped };
}

const arrivals: readonly Arrival[] = ["closed", "poisson", "burst"];

/** Sources that do not say how they sent requests kept a closed loop, as far as they are known. */
function arrivalOf(written: string): Arrival {
  return arrivals.find((arrival) => arrival === written.toLowerCase()) ?? "closed";
}

/** A split with its conventions undone, and the factor that turns the row's batch into one per attention rank. */
export interface NormalizedSplit {
  readonly split: Parallelism;
  readonly batchFactor: number;
}

/**
 * Undoes two conventions of the files: some sources write the worker's GPU count in every size (`tp 4, dp 4, ep 16` is
 * attention data parallelism over 4 GPUs), others write it in both expert sizes and square the rest (`tp 64, moe_tp 8,
 * ep 8` is 8 GPUs with whole experts). Sizes alone decide; a blank data size is what makes both sides agree.
 */
export function normalizeSplit(raw: RawSplit, isMoe: boolean): NormalizedSplit {
  const { pipeline } = raw;
  if (!isMoe)
    return {
      split: {
        tensor: raw.tensor,
        pipeline,
        data: raw.data ?? 1,
        expertTensor: raw.tensor * (raw.data ?? 1),
        expert: 1,
      },
      batchFactor: 1,
    };
  const experts = raw.expertTensor * raw.expert;
  const data = raw.data ?? Math.max(1, experts / raw.tensor);
  const whole = (tensor: number, ranks: number): NormalizedSplit => ({
    split: { tensor, pipeline, data: ranks, expertTensor: 1, expert: tensor * ranks },
    batchFactor: data / ranks,
  });
  if (data > 1 && data === raw.tensor && experts === data * data) return whole(1, data);
  if (raw.expertTensor === raw.expert && raw.expert > 1 && raw.tensor * data === experts)
    return raw.tensor > 1 ? whole(raw.expert, 1) : whole(1, raw.expert);
  // The engine's own flags: tensor counts all GPUs of the worker, data splits attention inside them.
  if (data > 1 && experts === raw.tensor && raw.tensor % data === 0)
    return {
      split: {
        tensor: raw.tensor / data,
        pipeline,
        data,
        expertTensor: raw.expertTensor,
        expert: raw.expert,
      },
      batchFactor: 1,
    };
  const gpus = raw.tensor * data;
  if (experts === gpus)
    return {
      split: { tensor: raw.tensor, pipeline, data, expertTensor: raw.expertTensor, expert: raw.expert },
      batchFactor: 1,
    };
  // Sizes that disagree: attention decides the GPUs, experts are whole where the row says so.
  return raw.expert > 1
    ? whole(raw.tensor, data)
    : { split: { tensor: raw.tensor, pipeline, data, expertTensor: gpus, expert: 1 }, batchFactor: 1 };
}

function isBackend(name: string): name is BackendName {
  return name === "vllm" || name === "sglang" || name === "trtllm";
}

function splitCsvLine(line: string): string[] {
  if (!line.includes('"')) return line.split(",");
  const cells: string[] = [];
  let cell = "";
  let isQuoted = false;
  for (let at = 0; at < line.length; at++) {
    const character = line[at];
    if (character === '"') {
      if (isQuoted && line[at + 1] === '"') cell += line[++at] ?? "";
      else isQuoted = !isQuoted;
    } else if (character === "," && !isQuoted) {
      cells.push(cell);
      cell = "";
    } else cell += character ?? "";
  }
  return [...cells, cell];
}
