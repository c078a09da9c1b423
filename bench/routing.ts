// `npm run bench -- routing --trace FILE --workers 8 --json`: the same trace through each policy, the real selector in
// virtual time, no oracle knowledge. Without --trace, the generator that ships with the project.
import { readFileSync } from "node:fs";
import { basename } from "node:path";
import { parseArgs } from "node:util";
import { dynamo04, kvAware, leastLoaded, roundRobin, type SelectorOptions } from "@stator/router/selector";
import { replay, type ReplayResult } from "@stator/simulator/replay";
import {
  constantRate,
  conversationWorkload,
  parseMooncakeTrace,
  workloadStatistics,
  type TraceRequest,
} from "@stator/simulator/workload";

// Dynamo 0.4 knows a prefix only from events: its baselines run without speculative entries.
const policies: readonly (readonly [string, () => Omit<SelectorOptions, "clock" | "seed">])[] = [
  ["round-robin", () => ({ policy: roundRobin() })],
  ["least-loaded", () => ({ policy: leastLoaded() })],
  ["dynamo-0.4", () => ({ policy: dynamo04(), speculativeTtlMs: 0, approximateTtlMs: 0 })],
  [
    "dynamo-0.4-w4",
    () => ({ policy: dynamo04({ overlapWeight: 4 }), speculativeTtlMs: 0, approximateTtlMs: 0 }),
  ],
  ["kv-aware", () => ({ policy: kvAware() })],
];

interface Row {
  readonly trace: string;
  readonly policy: string;
  readonly prefillTokensPerSecond: number;
  readonly hitRatio: number;
  readonly meanTtftMs: number;
  readonly p99TtftMs: number;
  readonly imbalance: number;
  readonly ceilingHitRatio: number;
  /** Mean TTFT below dynamo-0.4's, as a share of it. */
  readonly belowDynamo04?: number;
}

const round = (value: number, digits: number): number => Number(value.toFixed(digits));

export async function run(args: readonly string[]): Promise<readonly Row[]> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      /** May be given several times. */
      trace: { type: "string", multiple: true },
      workers: { type: "string", default: "8" },
      seeds: { type: "string", default: "4" },
      rates: { type: "string", default: "8000,12000" },
      "kv-blocks": { type: "string", default: "10000" },
    },
  });
  const workloads: readonly (readonly [string, readonly TraceRequest[]])[] =
    values.trace === undefined
      ? [["generated conversations", conversationWorkload({ rate: constantRate(1), durationMs: 1_200_000 })]]
      : values.trace.map((file) => [basename(file), parseMooncakeTrace(readFileSync(file, "utf8"))] as const);
  const settings = { ...values, seeds: Number(values.seeds), rates: values.rates.split(",").map(Number) };
  return workloads.flatMap(([name, workload]) => compare(name, workload, settings));
}

interface Settings {
  readonly workers: string;
  readonly seeds: number;
  readonly rates: readonly number[];
  readonly "kv-blocks": string;
}

function compare(trace: string, workload: readonly TraceRequest[], values: Settings): Row[] {
  const { seeds } = values;
  const { ceilingHitRatio } = workloadStatistics(workload);
  const rows: Row[] = [];
  for (const rate of values.rates) {
    let dynamoMs = 0;
    for (const [policy, selector] of policies) {
      const runs: ReplayResult[] = [];
      for (let seed = 1; seed <= seeds; seed++) {
        runs.push(
          replay(workload, {
            workers: Number(values.workers),
            prefillTokensPerSecond: rate,
            interTokenMs: 20,
            kvBlocks: Number(values["kv-blocks"]),
            selector: selector(),
            seed,
          }),
        );
      }
      const mean = (of: (result: ReplayResult) => number): number =>
        runs.reduce((sum, each) => sum + of(each), 0) / runs.length;
      const meanTtftMs = mean((each) => each.meanTtftMs);
      if (policy === "dynamo-0.4") dynamoMs = meanTtftMs;
      rows.push({
        trace,
        policy,
        prefillTokensPerSecond: rate,
        hitRatio: round(
          mean((each) => each.hitRatio),
          4,
        ),
        meanTtftMs: round(meanTtftMs, 1),
        p99TtftMs: round(
          mean((each) => each.p99TtftMs),
          1,
        ),
        imbalance: round(
          mean((each) => each.imbalance),
          3,
        ),
        ceilingHitRatio: round(ceilingHitRatio, 4),
        ...(policy === "kv-aware" ? { belowDynamo04: round(1 - meanTtftMs / dynamoMs, 4) } : {}),
      });
    }
  }
  return rows;
}
