// The announcement's two shapes: disaggregated against aggregated at equal GPUs, and where each gain is largest.
import { search } from "@stator/configurator";
import type { SearchOptions, SearchResult } from "@stator/configurator";

type Point = SearchResult["pareto"][number];

interface Gain {
  readonly point: Point;
  readonly rival: number;
  readonly ratio: number;
}

/** The point of the disaggregated front that gains most in one measure over the aggregated layouts that match it in the other. */
function largestGain(
  disagg: readonly Point[],
  agg: readonly Point[],
  gained: (point: Point) => number,
  held: (point: Point) => number,
): Gain | undefined {
  return disagg
    .map((point) => {
      const rival = Math.max(0, ...agg.filter((other) => held(other) >= held(point)).map(gained));
      return { point, rival, ratio: rival > 0 ? gained(point) / rival : 0 };
    })
    .sort((a, b) => b.ratio - a.ratio)[0];
}

const perGpu = (point: Point): number => point.tokensPerSecondPerGpu;
const perUser = (point: Point): number => point.tokensPerSecondPerUser;

function gains(options: SearchOptions, ttftMs: number): string {
  const { pareto } = search({ ...options, ttftMs, tpotMs: 500 });
  const front = (mode: "agg" | "disagg"): Point[] =>
    pareto.filter((point) => point.mode === mode && point.ttftMs <= ttftMs);
  const cell = (
    gain: Gain | undefined,
    gained: (point: Point) => number,
    held: (point: Point) => number,
  ): string =>
    gain === undefined
      ? "none | "
      : `**${gain.ratio.toFixed(2)}×** (${gained(gain.point).toFixed(0)} against ${gain.rival.toFixed(0)}) | ${held(gain.point).toFixed(0)}; ${gain.point.label}`;
  const [agg, disagg] = [front("agg"), front("disagg")];
  return `${cell(largestGain(disagg, agg, perUser, perGpu), perUser, perGpu)} | ${cell(largestGain(disagg, agg, perGpu, perUser), perGpu, perUser)}`;
}

const gptOss = {
  model: "openai/gpt-oss-120b",
  system: "b200",
  backend: "trtllm",
  gpus: 8,
  outputTokens: 1024,
} as const;
const deepseek = {
  model: "deepseek-ai/DeepSeek-R1",
  system: "gb200",
  quantization: "nvfp4",
  backend: "trtllm",
  gpus: 72,
  outputTokens: 1024,
} as const;

/** Lines of a table: workload, largest interactivity gain and where, largest throughput gain and where. */
export function headlineLines(): string[] {
  const rows: readonly (readonly [string, SearchOptions, number])[] = [
    ["gpt-oss-120b, 8 × B200, 8192/1024", { ...gptOss, inputTokens: 8192 }, 5000],
    ["gpt-oss-120b, 8 × B200, 32768/1024", { ...gptOss, inputTokens: 32768 }, 15000],
    ["gpt-oss-120b, 8 × B200, 65536/1024", { ...gptOss, inputTokens: 65536 }, 30000],
    ["gpt-oss-120b, 8 × B200, 122880/1024", { ...gptOss, inputTokens: 122880 }, 60000],
    ["DeepSeek-R1 NVFP4, 72 × GB200, 4096/1024", { ...deepseek, inputTokens: 4096 }, 5000],
    ["DeepSeek-R1 NVFP4, 72 × GB200, 8192/1024", { ...deepseek, inputTokens: 8192 }, 5000],
  ];
  return rows.map(([name, options, ttftMs]) => `| ${name} | ${ttftMs / 1000} | ${gains(options, ttftMs)} |`);
}
