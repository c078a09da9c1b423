// Fits the efficiency curves of the roofline to measured kernel tables of one H200 (read from ../shared/perf-data).
import {
  defaultCoefficients,
  findSystem,
  measuredOperation,
  rooflineMs,
} from "@stator/simulator/performance-model";
import type { Coefficients, MatrixFormat, MeasuredOperation } from "@stator/simulator/performance-model";
import { errors, minimize } from "./minimize.ts";
import { readTable } from "./read-table.ts";

const root = new URL("../../../shared/perf-data/h200_sxm/", import.meta.url).pathname;
const system = findSystem("h200");

async function load(
  file: string,
  keep: (operation: MeasuredOperation) => boolean = () => true,
  limit: number = 4000,
): Promise<MeasuredOperation[]> {
  const all = (await readTable(`${root}${file}_perf.parquet`))
    .map(measuredOperation)
    .filter((operation) => operation !== undefined)
    .filter(keep);
  const stride = Math.max(1, Math.floor(all.length / limit));
  return all.filter((_, index) => index % stride === 0);
}

function fit(
  name: string,
  rows: readonly MeasuredOperation[],
  start: readonly number[],
  apply: (values: readonly number[]) => Coefficients,
  rounds: number = 300,
): Coefficients {
  const loss = (values: readonly number[]): number => {
    const coefficients = apply(values);
    let sum = 0;
    for (const { shape, ms } of rows) sum += Math.abs(Math.log(rooflineMs(shape, system, coefficients) / ms));
    return sum / rows.length;
  };
  const found = minimize(loss, start, rounds);
  const coefficients = apply(found.values);
  const { mape, median } = errors(rows.map(({ shape, ms }) => [rooflineMs(shape, system, coefficients), ms]));
  console.log(
    name.padEnd(28),
    String(rows.length).padStart(6),
    `MAPE ${mape.toFixed(1)} median ${median.toFixed(1)}`,
    found.values.map((value) => value.toPrecision(3)).join(" "),
  );
  return coefficients;
}

let c: Coefficients = defaultCoefficients;
const gemm = await load(
  "gemm/trtllm/1.3.0rc10/gemm",
  ({ shape }) =>
    shape.kind === "matrix" &&
    shape.columns >= 512 &&
    shape.inner >= 512 &&
    shape.columns < 60000 &&
    shape.inner < 40000,
  60000,
);
const gemm12 = await load(
  "gemm/trtllm/1.2.0rc5/gemm",
  ({ shape }) =>
    shape.kind === "matrix" &&
    shape.columns >= 512 &&
    shape.inner >= 512 &&
    shape.columns < 60000 &&
    shape.inner < 40000,
  60000,
);
for (const format of ["bf16", "fp8", "fp8-block", "w4a16", "w8a16", "int8"] as MatrixFormat[]) {
  const source = format === "bf16" || format.startsWith("fp8") ? gemm : gemm12;
  const rows = source
    .filter(({ shape }) => shape.kind === "matrix" && shape.format === format)
    .filter((_, index) => index % 5 === 0);
  const base = c;
  c = fit(
    `matrix ${format}`,
    rows,
    [0.75, 0.8, 3, 0.1],
    ([compute, memory, floorUs, halfWave]) =>
      ({
        ...base,
        matrix: { ...base.matrix, [format]: { compute, memory, floorUs, halfWave } },
      }) as Coefficients,
  );
}
const curve = (
  key: "headMatrix" | "prefillAttention" | "prefillLatent" | "decodeAttention" | "decodeLatent",
  rows: readonly MeasuredOperation[],
): void => {
  const base = c;
  const { compute, memory, floorUs, halfWave } = base[key];
  c = fit(
    key,
    rows,
    [compute, memory, floorUs, halfWave],
    ([a, b, d, e]) =>
      ({ ...base, [key]: { compute: a, memory: b, floorUs: d, halfWave: e } }) as Coefficients,
  );
};
curve(
  "prefillAttention",
  await load(
    "attention/trtllm/1.3.0rc10/context_attention",
    ({ shape }) =>
      shape.kind === "prefillAttention" &&
      shape.newTokens >= 128 &&
      shape.format === "bf16" &&
      shape.heads >= 4 &&
      shape.heads / shape.kvHeads >= 2,
  ),
);
curve(
  "decodeAttention",
  await load(
    "attention/trtllm/1.3.0rc10/generation_attention",
    ({ shape }) =>
      shape.kind === "decodeAttention" &&
      shape.contextTokens >= 128 &&
      shape.contextTokens <= 40000 &&
      shape.heads >= 4 &&
      shape.heads / shape.kvHeads >= 2,
  ),
);
curve(
  "prefillLatent",
  await load(
    "mla/trtllm/1.2.0rc5/context_mla",
    ({ shape }) => shape.kind === "prefillAttention" && shape.newTokens >= 128,
  ),
);
curve(
  "decodeLatent",
  await load(
    "mla/trtllm/1.2.0rc5/generation_mla",
    ({ shape }) => shape.kind === "decodeLatent" && shape.contextTokens >= 128,
  ),
);
curve("headMatrix", await load("mla_bmm/trtllm/1.2.0rc5/mla_bmm"));
{
  const rows = await load(
    "comm/trtllm/1.3.0rc10/custom_allreduce",
    ({ shape }) => shape.kind === "collective" && shape.bytes >= 4096,
  );
  const base = c;
  c = fit(
    "allReduce",
    rows,
    [6, 0.4, 0.65],
    ([a, b, d]) =>
      ({
        ...base,
        collective: { ...base.collective, allReduceUs: a, perPeerUs: b, bandwidth: d },
      }) as Coefficients,
  );
  const nccl = await load(
    "comm/nccl/2.26.2/nccl",
    ({ shape }) => shape.kind === "collective" && shape.collective !== "allReduce" && shape.bytes >= 4096,
  );
  const then = c;
  c = fit(
    "other collectives",
    nccl,
    [10],
    ([a]) => ({ ...then, collective: { ...then.collective, otherUs: a } }) as Coefficients,
  );
}
for (const format of ["bf16", "fp8", "fp8-block", "mxfp4"] as MatrixFormat[]) {
  const rows = await load(
    "moe/trtllm/1.2.0rc5/moe",
    ({ shape }) => shape.kind === "experts" && shape.format === format && shape.tokens <= 16384,
    3000,
  );
  const base = c;
  const e = base.experts[format];
  c = fit(
    `experts ${format}`,
    rows,
    [e.compute, e.memory, e.floorUs, e.halfWave, e.skew, e.visited],
    ([compute, memory, floorUs, halfWave, skew, visited]) =>
      ({
        ...base,
        experts: { ...base.experts, [format]: { compute, memory, floorUs, halfWave, skew, visited } },
      }) as Coefficients,
    500,
  );
}
console.log(JSON.stringify(c, null, 1));
