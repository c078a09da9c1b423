// Writes docs/accuracy.md and the error bands of predictions from ../shared/perf-data and cross-validation.json.
import { readFileSync, writeFileSync } from "node:fs";
import { search, validate, validateRows } from "@stator/configurator";
import type { ErrorScore, SearchOptions, SearchResult } from "@stator/configurator";
import {
  createTableTimes,
  findModel,
  findSystem,
  namedQuantization,
  parallelism,
  readParquetTable,
  stepTime,
} from "@stator/simulator/performance-model";
import type { TableRow } from "@stator/simulator/performance-model";

const data = new URL("../../../shared/perf-data", import.meta.url).pathname;
const csv = readFileSync(`${data}measured_serving_train.csv`, "utf8");
const report = validate(csv);
const cross = JSON.parse(readFileSync(new URL("cross-validation.json", import.meta.url), "utf8")) as Record<
  string,
  ErrorScore
>;

const row = (name: string, score: ErrorScore): string =>
  `| ${name} | ${score.rows} | ${score.tpotMape.toFixed(1)} | ${score.tpotMedian.toFixed(1)} | ${score.ttftMape.toFixed(1)} | ${score.ttftMedian.toFixed(1)} |`;
const table = (rows: Readonly<Record<string, ErrorScore>>): string =>
  [
    "| | rows | TPOT MAPE | TPOT median | TTFT MAPE | TTFT median |",
    "|---|---:|---:|---:|---:|---:|",
    ...Object.entries(rows).map(([name, score]) => row(name, score)),
  ].join("\n");

// Error bands: the middle eight tenths of measured over predicted.
const bands: Record<string, { tpot: [number, number]; ttft: [number, number] }> = {};
for (const mode of ["agg", "disagg"]) {
  const rows = validateRows(csv).rows.filter(
    (entry) => entry.row.mode === mode && entry.excludedFor === undefined,
  );
  const middle = (ratios: number[]): [number, number] => {
    ratios.sort((a, b) => a - b);
    const at = (share: number): number =>
      Number((ratios[Math.floor(share * (ratios.length - 1))] ?? 1).toFixed(2));
    return [at(0.1), at(0.9)];
  };
  bands[mode] = {
    tpot: middle(rows.map((entry) => entry.row.tpotMs / entry.tpotMs)),
    ttft: middle(rows.map((entry) => entry.row.ttftMs / entry.ttftMs)),
  };
}
const bandFile = new URL("../../packages/configurator/src/serving/error-bands.ts", import.meta.url);
writeFileSync(
  bandFile,
  readFileSync(bandFile, "utf8").replace(/(errorBands[^=]*= )[\s\S]*$/, `$1${JSON.stringify(bands)};\n`),
);

// Published static and engine-step figures of a table-based estimator.
const system = findSystem("h200");
const model = findModel("Qwen/Qwen3-32B");
const quantization = namedQuantization("bf16", model, system);
const read = async (name: string): Promise<TableRow[]> => {
  const bytes = readFileSync(`${data}h200_sxm/${name}_perf.parquet`);
  return readParquetTable(
    bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength) as ArrayBuffer,
  );
};
const times = createTableTimes({
  system,
  tables: await Promise.all(
    [
      "gemm/trtllm/1.3.0rc10/gemm",
      "attention/trtllm/1.3.0rc10/context_attention",
      "attention/trtllm/1.3.0rc10/generation_attention",
      "comm/trtllm/1.3.0rc10/custom_allreduce",
    ].map(read),
  ),
});
const four = { model, system, quantization, parallelism: parallelism({ tensor: 4 }) };
const prefill = { prefill: [{ sequences: 32, newTokens: 4096, pastTokens: 0 }] };
const decode = { decode: { sequences: 32, contextTokens: 4608 } };
const pair = (name: string, ours: number, published: number): string =>
  `| ${name} | ${ours.toFixed(2)} | ${published} | ${((ours / published - 1) * 100).toFixed(1)} |`;
const steps = [
  ["qwen3-32b", "b200", "bf16", 17.068, 4.253],
  ["llama-3.1-70b", "b200", "bf16", 28.6, 6.7],
  ["llama-3.1-8b", "b200", "bf16", 6.004, 1.939],
  ["qwen3-235b-a22b", "b200", "bf16", 44.436, 7.587],
  ["deepseek-v3", "b200", "fp8-block", 81.828, 12.813],
  ["minimax-m2.5", "h100", "auto", 35.148, 6.741],
  ["minimax-m2.5", "h200", "auto", 32.565, 6.436],
  ["kimi-k2.5", "h200", "auto", 203.535, 13.882],
  ["qwen3-32b", "h200", "bf16", 26.224, 4.757],
] as const;
const stepRows = steps.flatMap(([name, on, format, context, generation]) => {
  const at = { model: findModel(name), system: findSystem(on) };
  const options = {
    ...at,
    quantization: namedQuantization(format, at.model, at.system),
    parallelism: parallelism({ tensor: 8 }),
    backend: "vllm" as const,
  };
  return [
    pair(
      `${name}, ${on}, vLLM TP8, prefill 1024`,
      stepTime({ ...options, batch: { prefill: [{ sequences: 1, newTokens: 1024, pastTokens: 0 }] } }),
      context,
    ),
    pair(
      `${name}, ${on}, vLLM TP8, decode 1 × 1025`,
      stepTime({ ...options, batch: { decode: { sequences: 1, contextTokens: 1025 } } }),
      generation,
    ),
  ];
});

// The announcement's two shapes: disaggregated against aggregated at equal GPUs and equal speed or throughput.
const bestGain = (options: SearchOptions): string => {
  const result = search({ ...options, ttftMs: 5000, tpotMs: 200 });
  const front = (mode: "agg" | "disagg"): SearchResult["pareto"] =>
    result.pareto.filter((point) => point.mode === mode && point.ttftMs <= 5000);
  const agg = front("agg");
  const disagg = front("disagg");
  const throughput = disagg
    .map((point) => {
      const rival = Math.max(
        0,
        ...agg
          .filter((other) => other.tokensPerSecondPerUser >= point.tokensPerSecondPerUser)
          .map((other) => other.tokensPerSecondPerGpu),
      );
      return { point, rival, ratio: rival > 0 ? point.tokensPerSecondPerGpu / rival : 0 };
    })
    .sort((a, b) => b.ratio - a.ratio)[0];
  const speed = disagg
    .map((point) => {
      const rival = Math.max(
        0,
        ...agg
          .filter((other) => other.tokensPerSecondPerGpu >= point.tokensPerSecondPerGpu)
          .map((other) => other.tokensPerSecondPerUser),
      );
      return { point, rival, ratio: rival > 0 ? point.tokensPerSecondPerUser / rival : 0 };
    })
    .sort((a, b) => b.ratio - a.ratio)[0];
  const lines: string[] = [];
  if (throughput)
    lines.push(
      `throughput **${throughput.ratio.toFixed(2)}×** at ${throughput.point.tokensPerSecondPerUser.toFixed(0)} tokens/s per user (${throughput.point.tokensPerSecondPerGpu.toFixed(0)} against ${throughput.rival.toFixed(0)} tokens/s per GPU; ${throughput.point.label})`,
    );
  if (speed)
    lines.push(
      `interactivity **${speed.ratio.toFixed(2)}×** at ${speed.point.tokensPerSecondPerGpu.toFixed(0)} tokens/s per GPU (${speed.point.tokensPerSecondPerUser.toFixed(0)} against ${speed.rival.toFixed(0)} tokens/s per user; ${speed.point.label})`,
    );
  return lines.join("; ");
};

const shapes = [
  [
    "gpt-oss-120b, 8 × B200, 8192/1024",
    "4× interactivity",
    {
      model: "openai/gpt-oss-120b",
      system: "b200",
      backend: "trtllm",
      gpus: 8,
      inputTokens: 8192,
      outputTokens: 1024,
    },
  ],
  [
    "gpt-oss-120b, 8 × B200, 32768/1024",
    "4× interactivity",
    {
      model: "openai/gpt-oss-120b",
      system: "b200",
      backend: "trtllm",
      gpus: 8,
      inputTokens: 32768,
      outputTokens: 1024,
    },
  ],
  [
    "DeepSeek-R1 NVFP4, 72 × GB200, 8192/1024",
    "2.5× throughput",
    {
      model: "deepseek-ai/DeepSeek-R1",
      system: "gb200",
      backend: "trtllm",
      quantization: "nvfp4",
      gpus: 72,
      inputTokens: 8192,
      outputTokens: 1024,
    },
  ],
] as const;

const text = `# How accurate the configurator is

Generated by \`tools/calibrate/accuracy.ts\`; do not edit. All errors in per cent of the measured value. MAPE is the mean
absolute error.

## What is fitted on what

- **Kernels**: efficiency curves on measured tables of one H200 (AIConfigurator's, Apache-2.0).
- **Deployments**: launch and host overheads, kernel factors per GPU generation and queueing terms per engine, on measured
  deployments of five models (Qwen3-32B, Llama-3.1-8B, DeepSeek-V3, MiniMax-M2.5, Kimi-K2.5). No name of a model is read: a
  prediction sees shapes, sizes and lengths only.
- **Split**: the tables below are of those same deployments, except the second, where each model in turn was left out of
  the fit.
- Excluded are only rows that do not say their worker counts, and rows predicted to be saturated:
  ${report.excluded.rows} rows, ${report.excluded.share.toFixed(1)} % (${Object.entries(
    report.excluded.reasons,
  )
    .map(([reason, count]) => `${reason}: ${count}`)
    .join("; ")}).

## All rows

${table({ "without the excluded": report.overall, "with them": report.withExcluded })}

## Each model left out of the fit in turn

${table(cross)}

Leaving a model out also leaves out its whole kind here: MLA on sglang and TensorRT-LLM comes from DeepSeek-V3 alone, SGLang on Hopper mostly from
Qwen3-32B. These figures are the honest ones for a model unlike all five.

## By engine

${table(report.byBackend)}

## By system

${table(report.bySystem)}

## By model

${table(report.byModel)}

Llama-3.1-8B-Instruct-FP8 on H200 with vLLM looks limited by the load generator's rate, not by its concurrency: it is kept, and missed by a factor of two.

## By mode

${table(report.byMode)}

## Ranges

Of ten measured deployments eight lay within these multiples of the prediction; \`ttftRangeMs\` and \`tpotRangeMs\` of every answer are made of them.

| | TPOT | TTFT |
|---|---|---|
${Object.entries(bands)
  .map(([mode, band]) => `| ${mode} | ${band.tpot.join(" to ")} | ${band.ttft.join(" to ")} |`)
  .join("\n")}

## Against published estimates

Milliseconds; static batching of Qwen3-32B (bf16, H200, TP4, 32 × 4096/1024) and single engine steps, as AIConfigurator publishes them from tables.
Measured deployments say otherwise for the steps of DeepSeek and Kimi: there the deployments were followed.

| | ours | published | difference, % |
|---|---:|---:|---:|
${pair("static prefill, tables", stepTime({ ...four, times, batch: prefill }), 3900.357)}
${pair("static decode step, tables", stepTime({ ...four, times, batch: decode }), 10.97)}
${pair("static prefill, roofline", stepTime({ ...four, batch: prefill }), 3900.357)}
${pair("static decode step, roofline", stepTime({ ...four, batch: decode }), 10.97)}
${stepRows.join("\n")}

## The announcement's shapes

Disaggregated against aggregated on the same GPUs, both at their best, first token within 5 s.

| | announced | predicted here |
|---|---|---|
${shapes.map(([name, announced, options]) => `| ${name} | ${announced} | ${bestGain(options)} |`).join("\n")}
`;
writeFileSync(new URL("../../docs/accuracy.md", import.meta.url), text);
