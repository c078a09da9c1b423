// Fits per-architecture kernel factors, per-engine overheads and queueing terms to measured deployments
// (../shared/perf-data/measured_serving_train.csv), never reading a model's name. `--cross-validate` holds out one model at a time.
import { readFileSync, writeFileSync } from "node:fs";
import {
  architectureOf,
  coefficientsFor,
  floorKey,
  layerCount,
  operationsOfStep,
  rooflineTime,
  sequenceCapacity,
  workKey,
} from "@stator/simulator/performance-model";
import type { StepBatch } from "@stator/simulator/performance-model";
import { closedLoopResponseMs } from "../../packages/configurator/src/serving/queueing.ts";
import {
  defaultStepTokens,
  kvTransferMs,
  predictDisaggregated,
  prefillRankScaling,
} from "../../packages/configurator/src/serving/predict.ts";
import type { WorkerSpec } from "../../packages/configurator/src/serving/predict.ts";
import { parseMeasuredRows } from "../../packages/configurator/src/validate/measured-row.ts";
import type { MeasuredRow } from "../../packages/configurator/src/validate/measured-row.ts";
import { specOfRow } from "../../packages/configurator/src/validate/row-spec.ts";
import type { RowSpec } from "../../packages/configurator/src/validate/row-spec.ts";
import { errors, minimize } from "./minimize.ts";

type Parts = Readonly<Record<string, number>>;
type Terms = Record<string, number>;

/** What a prediction of one row needs, with every fitted factor still apart. */
interface Sample {
  readonly row: MeasuredRow;
  readonly spec: RowSpec;
  readonly worker: WorkerSpec;
  readonly engine: string;
  readonly architecture: string;
  readonly layers: number;
  readonly running: number;
  readonly together: number;
  readonly decode: Parts;
  readonly mixed: Parts;
  readonly first: Parts;
  readonly weight: number;
}

function partsOf(worker: WorkerSpec, batch: StepBatch): Parts {
  const coefficients = { ...coefficientsFor(worker.system), scale: {} };
  const parts: Record<string, number> = {};
  for (const { count, shape } of operationsOfStep({ ...worker, batch })) {
    const { workMs, floorMs } = rooflineTime(shape, worker.system, coefficients);
    parts[workKey(shape)] = (parts[workKey(shape)] ?? 0) + count * workMs;
    parts[floorKey(shape)] = (parts[floorKey(shape)] ?? 0) + count * floorMs;
  }
  return parts;
}

const file = new URL("../../../shared/perf-data/measured_serving_train.csv", import.meta.url).pathname;
const samples: Sample[] = [];
const counts = new Map<string, number>();
for (const row of parseMeasuredRows(readFileSync(file, "utf8"))) {
  const spec = specOfRow(row);
  if (spec === undefined) continue;
  const worker = spec.mode === "agg" ? spec.worker : spec.spec.decode;
  const concurrency = spec.mode === "agg" ? spec.concurrency : spec.spec.decodeBatch;
  const { inputTokens, outputTokens } = row;
  // Rows that do not say how many requests a rank serves teach nothing; saturated ones measure the queue, not the engine.
  if (spec.mode === "disagg" && spec.isGuess) continue;
  const capacity = sequenceCapacity(worker, inputTokens + outputTokens);
  if (capacity < concurrency) continue;
  const running = spec.mode === "agg" ? concurrency : predictDisaggregated(spec.spec, row).runningPerRank;
  const { pipeline } = worker.parallelism;
  const together = Math.max(1, Math.min(running / outputTokens, defaultStepTokens / inputTokens));
  const decode = { sequences: running / pipeline, contextTokens: inputTokens + outputTokens / 2 };
  const prefill = { newTokens: inputTokens, pastTokens: 0 };
  const architecture = architectureOf(worker.system);
  const key = `${row.backend} ${architecture} ${row.model} ${row.mode}`;
  counts.set(key, (counts.get(key) ?? 0) + 1);
  samples.push({
    row,
    spec,
    worker,
    architecture,
    running,
    together,
    engine: `${row.backend} ${architecture}`,
    layers: layerCount(worker.model),
    weight: 0,
    decode: partsOf(worker, { decode }),
    mixed: partsOf(worker, { decode, prefill: [{ sequences: together, ...prefill }] }),
    first:
      spec.mode === "agg"
        ? partsOf(worker, {
            decode: { ...decode, sequences: Math.max(0.001, (running - 1) / pipeline) },
            prefill: [{ sequences: 1, pastTokens: 0, newTokens: Math.min(inputTokens, defaultStepTokens) }],
          })
        : partsOf(spec.spec.prefill, { prefill: [{ sequences: 1, ...prefill }] }),
  });
}
const weighted: Sample[] = samples.map((sample) => ({
  ...sample,
  weight: 1 / Math.sqrt(counts.get(`${sample.engine} ${sample.row.model} ${sample.row.mode}`) ?? 1),
}));

function stepMs(parts: Parts, sample: Sample, terms: Terms, rows: number, hasPrefill: boolean): number {
  const { engine, architecture, layers } = sample;
  let ms =
    (terms[`${engine}|stepUs`]! +
      terms[`${engine}|perSequenceUs`]! * rows +
      layers * terms[`${engine}|${hasPrefill ? "prefillLayerUs" : "decodeLayerUs"}`]!) *
    1e-3;
  for (const key in parts)
    ms +=
      parts[key]! *
      terms[`${architecture}#${key}`]! *
      terms[`${engine}|${key.startsWith("floor") ? "floorScale" : "workScale"}`]!;
  return ms;
}

function tpotMs(sample: Sample, terms: Terms): number {
  const { pipeline, data } = sample.worker.parallelism;
  const step = stepMs(sample.decode, sample, terms, sample.running / pipeline, false);
  if (sample.spec.mode === "disagg") return step;
  const mixed = stepMs(sample.mixed, sample, terms, sample.running / pipeline + sample.together, true);
  const stall = data ** terms[`${sample.engine}|dataStall`]!;
  return (
    step +
    ((sample.running - 1) / pipeline / sample.row.outputTokens) *
      (Math.max(0, mixed - step) / sample.together) *
      stall *
      terms[`${sample.engine}|prefillInterference`]!
  );
}

// Value to start from and be pulled to, and how hard. Overheads are loose; kernel factors of the generation whose tables were fitted are tight.
const priors = new Map<string, readonly [value: number, pull: number]>();
for (const engine of new Set(weighted.map((sample) => sample.engine))) {
  for (const [name, value, pull] of [
    ["stepUs", 600, 0.0004],
    ["perSequenceUs", 8, 0.0004],
    ["prefillLayerUs", 25, 0.0004],
    ["decodeLayerUs", 3, 0.0008],
    ["floorScale", 0.8, 0.004],
    ["workScale", 1, 0.006],
    ["prefillInterference", 1, 0.006],
    ["dataStall", 0.3, 0.002],
  ] as const)
    priors.set(`${engine}|${name}`, [value, pull]);
}
for (const architecture of ["hopper", "blackwell"])
  for (const key of new Set(
    weighted.flatMap((sample) => [...Object.keys(sample.mixed), ...Object.keys(sample.first)]),
  ))
    priors.set(`${architecture}#${key}`, [1, architecture === "hopper" ? 0.012 : 0.004]);

function fitSteps(train: readonly Sample[]): Terms {
  const terms: Terms = Object.fromEntries([...priors].map(([name, [value]]) => [name, value]));
  const total = train.reduce((sum, { weight }) => sum + weight, 0);
  const loss = (rows: readonly Sample[]): number =>
    rows.reduce(
      (sum, sample) =>
        sum + sample.weight * Math.min(0.8, Math.abs(Math.log(tpotMs(sample, terms) / sample.row.tpotMs))),
      0,
    ) / total;
  const touched = new Map(
    [...priors.keys()].map((name) => {
      const [owner, key] = name.includes("|") ? name.split("|") : name.split("#");
      return [
        name,
        train.filter((sample) =>
          name.includes("|")
            ? sample.engine === owner
            : sample.architecture === owner && key! in sample.mixed,
        ),
      ];
    }),
  );
  for (let round = 0, size = 0.4; round < 16; round++, size *= round % 2 === 0 ? 0.7 : 1)
    for (const [name, [value, pull]] of priors) {
      const rows = touched.get(name)!;
      if (rows.length === 0) continue;
      const cost = (): number => loss(rows) + pull * Math.log(terms[name]! / value) ** 2;
      let best = cost();
      for (const direction of [1, -1])
        for (let stride = 0; stride < 3; stride++) {
          const before = terms[name]!;
          terms[name] = before * Math.exp(direction * size);
          const next = cost();
          if (next < best - 1e-9) best = next;
          else {
            terms[name] = before;
            break;
          }
        }
    }
  return terms;
}

interface Arrival {
  readonly sample: Sample;
  readonly stepMs: number;
  readonly ownMs: number;
  readonly waitMs: number;
  readonly burstMs: number;
  readonly transferMs: number;
}

function arrivalOf(sample: Sample, terms: Terms): Arrival {
  const { spec, row, running } = sample;
  const step = stepMs(sample.decode, sample, terms, running / sample.worker.parallelism.pipeline, false);
  const think = row.outputTokens * tpotMs(sample, terms);
  if (spec.mode === "agg") {
    const { pipeline, data } = sample.worker.parallelism;
    const ownMs =
      stepMs(sample.first, sample, terms, running / pipeline, true) *
      Math.max(1, row.inputTokens / defaultStepTokens);
    const service = (Math.max(0.1, ownMs - step) * data ** terms[`${sample.engine}|dataStall`]!) / pipeline;
    return {
      sample,
      stepMs: step,
      ownMs,
      waitMs: closedLoopResponseMs(running, ownMs, service, think) - ownMs,
      burstMs: service * running,
      transferMs: 0,
    };
  }
  const { prefill, prefillWorkers, decodeWorkers } = spec.spec;
  const ownMs = stepMs(sample.first, sample, terms, 1, true);
  const service =
    ownMs / prefill.parallelism.data ** prefillRankScaling / prefill.parallelism.pipeline / prefillWorkers;
  const transferMs = kvTransferMs(prefill, sample.worker, row.inputTokens);
  const clients = spec.spec.decodeBatch * sample.worker.parallelism.data * decodeWorkers;
  return {
    sample,
    stepMs: step,
    ownMs,
    waitMs: closedLoopResponseMs(clients, ownMs + transferMs, service, think) - ownMs - transferMs,
    burstMs: service * clients,
    transferMs,
  };
}

const names = ["fixedMs", "steps", "prefill", "queue", "burst"] as const;
const ttftMs = (
  { stepMs: step, ownMs, waitMs, burstMs, transferMs }: Arrival,
  values: readonly number[],
): number =>
  values[0]! +
  values[1]! * step +
  values[2]! * ownMs +
  values[3]! * waitMs +
  values[4]! * burstMs +
  transferMs;
const ttftKey = ({ sample }: Arrival): string => `${sample.spec.mode} ${sample.row.backend}`;

// Half logarithmic, half relative error: over- and under-prediction both cost, wild rows cost a bounded amount.
function ttftLoss(rows: readonly Arrival[], values: readonly number[]): number {
  let sum = 0;
  let weights = 0;
  for (const arrival of rows) {
    const ratio = ttftMs(arrival, values) / arrival.sample.row.ttftMs;
    sum +=
      arrival.sample.weight *
      (0.5 * Math.min(1.2, Math.abs(Math.log(ratio))) + 0.5 * Math.min(2, Math.abs(ratio - 1)));
    weights += arrival.sample.weight;
  }
  return sum / weights;
}

// This source sent all requests of a run at once and no more: its first-token times are of a burst, not of a closed loop.
const oneBurst = /sglang\/0\.5\.1\.post1/;

// Nelder-Mead stops in the nearest hollow: the best of several starts is kept, and started from once more.
function search(
  loss: (values: readonly number[]) => number,
  starts: readonly (readonly number[])[],
): number[] {
  const best = starts.map((start) => minimize(loss, start, 400)).sort((a, b) => a.loss - b.loss)[0]!;
  return minimize(
    loss,
    best.values.map((value) => Math.max(1e-3, value)),
    400,
    0.6,
  ).values;
}

const starts = [
  [40, 1, 1.1, 0.2, 0.06],
  [60, 0.5, 1.5, 0.5, 0.1],
  [20, 2, 0.8, 0.05, 0.03],
  [100, 0.1, 1, 1, 0.05],
];

function fitArrivals(train: readonly Arrival[]): Map<string, number[]> {
  const found = new Map<string, number[]>();
  for (const mode of ["agg", "disagg"]) {
    const all = train.filter(({ sample }) => sample.spec.mode === mode && !oneBurst.test(sample.row.source));
    const pooled = search((values) => ttftLoss(all, values), starts);
    for (const backend of ["vllm", "sglang", "trtllm"]) {
      const rows = all.filter(({ sample }) => sample.row.backend === backend);
      const pull = 1.5 / Math.max(30, rows.length);
      const penalty = (values: readonly number[]): number =>
        values.reduce(
          (sum, value, at) =>
            sum + pull * Math.min(3, Math.abs(Math.log(value / Math.max(1e-3, pooled[at]!)))),
          0,
        );
      found.set(
        `${mode} ${backend}`,
        rows.length < 5
          ? pooled
          : search(
              (values) => ttftLoss(rows, values) + penalty(values),
              [pooled.map((value) => Math.max(1e-3, value)), ...starts],
            ),
      );
    }
  }
  return found;
}

function report(
  label: string,
  rows: readonly Sample[],
  terms: Terms,
  arrivals: Map<string, number[]>,
): Record<string, number> {
  const tpot = errors(rows.map((sample) => [tpotMs(sample, terms), sample.row.tpotMs]));
  const ttft = errors(
    rows
      .map((sample) => arrivalOf(sample, terms))
      .map((arrival) => [ttftMs(arrival, arrivals.get(ttftKey(arrival))!), arrival.sample.row.ttftMs]),
  );
  console.log(
    label.padEnd(44),
    String(rows.length).padStart(5),
    `TPOT ${tpot.mape.toFixed(1)} / ${tpot.median.toFixed(1)}   TTFT ${ttft.mape.toFixed(1)} / ${ttft.median.toFixed(1)}`,
  );
  const round = (value: number): number => Number(value.toFixed(1));
  return {
    rows: rows.length,
    tpotMape: round(tpot.mape),
    tpotMedian: round(tpot.median),
    ttftMape: round(ttft.mape),
    ttftMedian: round(ttft.median),
  };
}

const groups = (key: (sample: Sample) => string): [string, Sample[]][] =>
  [
    ...(Map.groupBy?.(weighted, key) ??
      weighted.reduce(
        (map, sample) => map.set(key(sample), [...(map.get(key(sample)) ?? []), sample]),
        new Map<string, Sample[]>(),
      )),
  ].sort();

const terms = fitSteps(weighted);
const arrivals = fitArrivals(weighted.map((sample) => arrivalOf(sample, terms)));
report("all rows, fitted (MAPE / median, %)", weighted, terms, arrivals);
for (const [key, rows] of groups(
  (sample) => `${sample.row.mode} ${sample.engine} ${sample.row.model.split("/").at(-1)}`,
))
  report(`  ${key}`, rows, terms, arrivals);
for (const [key, values] of arrivals)
  console.log("  ", key, values.map((value) => value.toPrecision(3)).join(" "));

const crossValidation: Record<string, unknown> = {};
if (process.argv.includes("--cross-validate")) {
  const shape = (sample: Sample): string =>
    (sample.row.model.split("/").at(-1) ?? "").replace(/-(Instruct|FP8).*/, "");
  for (const [name, rows] of groups(shape)) {
    const train = weighted.filter((sample) => !rows.includes(sample));
    const fitted = fitSteps(train);
    crossValidation[name] = report(
      `held out: ${name}`,
      rows,
      fitted,
      fitArrivals(train.map((sample) => arrivalOf(sample, fitted))),
    );
  }
  writeFileSync(
    new URL("cross-validation.json", import.meta.url),
    `${JSON.stringify(crossValidation, undefined, 2)}\n`,
  );
}

if (process.argv.includes("--write")) {
  const round = (value: number): number => Number(value.toPrecision(3));
  const simulator = new URL("../../packages/simulator/src/performance-model", import.meta.url).pathname;
  for (const architecture of ["hopper", "blackwell"]) {
    const path = `${simulator}coefficients-${architecture}.ts`;
    const scale = Object.fromEntries(
      [...priors.keys()]
        .filter((name) => name.startsWith(`${architecture}#`))
        .map((name) => [name.split("#")[1], round(terms[name]!)]),
    );
    // MXFP4 runs the same kernels as NVFP4 where FP4 tensor cores exist, and no fitted deployment used it.
    if (architecture === "hopper") Object.assign(scale, { "experts:mxfp4": scale["experts:w4a16"] });
    if (architecture === "blackwell")
      Object.assign(scale, {
        "experts:mxfp4": scale["experts:nvfp4"],
        "matrix:mxfp4": scale["matrix:nvfp4"],
      });
    writeFileSync(
      path,
      readFileSync(path, "utf8").replace(/scale: \{[^}]*\}/, `scale: ${JSON.stringify(scale)}`),
    );
  }
  const stamp = `// Written by tools/calibrate/fit-serving.ts from ${weighted.length} measured deployments; do not edit.\n`;
  const engine = (backend: string, architecture: string, keys: readonly string[]): string =>
    `{ ${keys.map((key) => `${key}: ${round(terms[`${backend} ${architecture}|${key}`]!)}`).join(", ")} }`;
  const table = (keys: readonly string[]): string =>
    ["vllm", "sglang", "trtllm"]
      .map(
        (backend) =>
          `${backend}: { hopper: ${engine(backend, "hopper", keys)}, blackwell: ${engine(backend, "blackwell", keys)} }`,
      )
      .join(",\n");
  writeFileSync(
    `${simulator}fitted-backend-terms.ts`,
    `import type { BackendName, BackendTerms } from "./backend-terms.ts";\nimport type { Architecture } from "./coefficients-for.ts";\n\n${stamp}export const fittedBackendTerms: Readonly<Record<BackendName, Readonly<Record<Architecture, BackendTerms>>>> = {\n${table(["stepUs", "perSequenceUs", "prefillLayerUs", "decodeLayerUs", "workScale", "floorScale"])} };\n`,
  );
  const first = (mode: string): string =>
    ["vllm", "sglang", "trtllm"]
      .map(
        (backend) =>
          `${backend}: { ${arrivals
            .get(`${mode} ${backend}`)!
            .map((value, at) => `${names[at]}: ${value < 1e-4 ? 0 : round(value)}`)
            .join(", ")} }`,
      )
      .join(",\n");
  writeFileSync(
    new URL("../../packages/configurator/src/serving/fitted-serving-terms.ts", import.meta.url),
    `import type { ServingTerms } from "./serving-terms.ts";\n\n${stamp}export const fittedServingTerms: ServingTerms = {\nscheduling: {\n${table(["prefillInterference", "dataStall"])} },\naggregated: { ${first("agg")} },\ndisaggregated: { ${first("disagg")} } };\n`,
  );
}
