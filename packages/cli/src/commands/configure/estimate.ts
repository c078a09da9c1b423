import { Command, Option } from "commander";
import { estimate, type Estimate } from "@stator/configurator";
import { positive } from "../../options.ts";
import { readTables } from "./read-tables.ts";
import { bar, createTerminal, table } from "../../terminal.ts";
import {
  targetOf,
  withTarget,
  withWorkload,
  workloadOf,
  type TargetFlags,
  type WorkloadFlags,
} from "./flags.ts";

type Flags = TargetFlags &
  WorkloadFlags & {
    mode: "agg" | "disagg" | "static";
    tp: number;
    pp: number;
    dp: number;
    ep: number;
    prefillTp?: number;
    batch: number;
    prefillWorkers: number;
    decodeWorkers: number;
    tables?: string;
    json?: boolean;
  };

/** `stator configure estimate`: one layout, its latencies, memory, and where a step's time goes. */
export function estimateCommand(): Command {
  return withWorkload(
    withTarget(
      new Command("estimate").description("one layout: latencies, memory, and where a step's time goes"),
    ),
  )
    .addOption(
      new Option("--mode <mode>", "how requests are batched")
        .choices(["agg", "disagg", "static"])
        .default("agg"),
    )
    .option("--tp <n>", "tensor parallel", positive, 1)
    .option("--pp <n>", "pipeline parallel", positive, 1)
    .option("--dp <n>", "data parallel", positive, 1)
    .option("--ep <n>", "expert parallel", positive, 1)
    .option("--prefill-tp <n>", "tensor parallel of prefill workers", positive)
    .option("--batch <n>", "requests in flight per attention rank", positive, 1)
    .option("--prefill-workers <n>", "disagg: how many", positive, 1)
    .option("--decode-workers <n>", "disagg: how many", positive, 1)
    .option(
      "--tables <folder>",
      "measured kernels (*_perf.parquet) of this system, asked before the roofline",
    )
    .action(async (flags: Flags) => {
      const terminal = createTerminal(flags.json === true);
      const target = targetOf(flags);
      const result = estimate({
        ...target,
        ...(flags.tables === undefined ? {} : { times: await readTables(flags.tables, target.system) }),
        ...workloadOf(flags),
        mode: flags.mode,
        parallelism: { tensor: flags.tp, pipeline: flags.pp, data: flags.dp, expert: flags.ep },
        ...(flags.prefillTp === undefined ? {} : { prefillParallelism: { tensor: flags.prefillTp } }),
        batch: flags.batch,
        prefillWorkers: flags.prefillWorkers,
        decodeWorkers: flags.decodeWorkers,
      });
      terminal.json(result);
      terminal.print(describe(result));
    });
}

function describe(result: Estimate): string {
  const { memory } = result;
  const gib = (bytes: number): string => (bytes / 2 ** 30).toFixed(1);
  return [
    `${result.label} on ${result.gpus} GPUs, batch ${result.batch}${result.isSaturated ? " (saturated)" : ""}`,
    "",
    table([
      [
        "TTFT",
        `${result.ttftMs.toFixed(1)} ms`,
        `${result.ttftRangeMs.map((ms) => ms.toFixed(0)).join("–")} ms`,
      ],
      [
        "TPOT",
        `${result.tpotMs.toFixed(2)} ms`,
        `${result.tpotRangeMs.map((ms) => ms.toFixed(1)).join("–")} ms`,
      ],
      ["request", `${(result.requestMs / 1000).toFixed(2)} s`, ""],
      [
        "throughput",
        `${result.tokensPerSecondPerGpu.toFixed(0)} tokens/s/GPU`,
        `${result.tokensPerSecondPerUser.toFixed(0)} tokens/s/user`,
      ],
    ]),
    "",
    ...steps("prefill step", result.prefillStep),
    ...steps("decode step", result.decodeStep),
    `memory  ${bar(1 - (memory.kvCapacityBytes - memory.kvUsedBytes) / memory.totalBytes)}  weights ${gib(memory.weightBytes)}, KV in use ${gib(memory.kvUsedBytes)} of ${gib(memory.kvCapacityBytes)} GiB`,
  ].join("\n");
}

function steps(title: string, step: Estimate["decodeStep"]): string[] {
  const sorted = [...step.operations].sort((a, b) => b.ms - a.ms).slice(0, 8);
  const sources = new Map<string, number>();
  for (const { source, ms } of step.operations) sources.set(source, (sources.get(source) ?? 0) + ms);
  const shares = [...sources].map(([source, ms]) => `${((100 * ms) / step.ms).toFixed(0)} % ${source}`);
  return [
    `${title}: ${step.ms.toFixed(2)} ms (${shares.join(", ")})`,
    table(sorted.map(({ name, ms }) => ["  ", name, ms.toFixed(3), bar(ms / step.ms, 16)])),
    "",
  ];
}
