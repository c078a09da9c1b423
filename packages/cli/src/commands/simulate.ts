import { writeFileSync } from "node:fs";
import path from "node:path";
import { Command, InvalidArgumentError, Option } from "commander";
import type { BackendName, WorkerChange } from "@stator/simulator";
import { readLayout } from "../layout-file.ts";
import { readPlannerRules } from "./planner/config.ts";
import { duration, number, positive } from "../options.ts";
import { htmlReport } from "../simulate/html-report.ts";
import { runVariants, variantsOf, type Answered } from "../simulate/sweep.ts";
import type { WhatIf } from "../simulate/what-if.ts";
import { bar, createTerminal, table } from "../terminal.ts";

interface Flags {
  layout: string;
  trace?: string;
  decisions?: string;
  load?: string;
  model?: string;
  system?: string;
  backend?: BackendName;
  quantization?: string;
  hostGb?: number;
  concurrency?: number;
  speedup?: number;
  shared?: number;
  prefixGroups?: number;
  blockTokens?: number;
  startup?: number;
  change: WorkerChange[];
  planner?: string;
  seed?: number;
  sweep: string[];
  threads?: number;
  html?: string;
  json?: boolean;
}

/** `stator simulate`: what a layout would do under a load, and what if. */
export function simulateCommand(): Command {
  return new Command("simulate")
    .requiredOption("--layout <file>", "layout.yaml, as `stator up` takes it")
    .option("--trace <file>", "requests in Mooncake's format")
    .addOption(
      new Option(
        "--decisions <file>",
        "or as they came: what `--record-decisions` or `stator router` wrote",
      ).conflicts(["trace", "load", "blockTokens"]),
    )
    .option(
      "--load <kind,key=value…>",
      "or generated: sine, constant, step, ramp, burst, drop, mix, conversations (default constant,rate=2)",
    )
    .option("--model <name|config.json>", "times by the performance model: what is served")
    .option("--system <name|system.yaml>", "and on what: h100, h200, b200 …")
    .addOption(new Option("--backend <engine>", "and by what").choices(["trtllm", "vllm", "sglang"]))
    .option("--quantization <name>", "fp8, nvfp4, bf16 …; as published when absent")
    .option("--host-gb <gb>", "host memory for KV, per GPU", number)
    .option("-c, --concurrency <n>", "closed loop: requests at once; arrival times are ignored", positive)
    .option("--speedup <factor>", "divides the gaps between arrivals", number)
    .option("--shared <tokens>", "leading tokens that prompts of a load share", number)
    .option("--prefix-groups <n>", "how many different shared beginnings", positive)
    .option("--block-tokens <n>", "tokens of a KV block (default 64)", positive)
    .option("--startup <time>", "until a started worker serves (default 60s)", duration)
    .option(
      "--change <time:what:which>",
      "60s:fail:decode-0, 2m:drain:prefill-1, 90s:start:decode; repeatable",
      change,
      [],
    )
    .option(
      "--planner <planner.yaml>",
      "scale the pools as `stator planner` would; limits, and slo, profile, intervalSeconds, startupSeconds if wished",
    )
    .option("--seed <n>", "seed of the routers", number)
    .option(
      "--sweep <key=a,b,c>",
      "each value in turn; several sweeps combine: decode.replicas, policy, tensor, concurrency, load.rate …",
      (text: string, all: string[]) => [...all, sweep(text)],
      [],
    )
    .option("--threads <n>", "runs at once (default: processors)", positive)
    .option("--html <file>", "also write a page of figures and timelines")
    .option("--json", "print one JSON object; a sweep's under `runs`")
    .action(async (flags: Flags) => {
      const terminal = createTerminal(flags.json === true);
      const {
        layout: file,
        startup,
        change: changes,
        sweep: sweeps,
        planner,
        threads,
        html,
        json: _,
        ...rest
      } = flags;
      const question: WhatIf = {
        ...rest,
        layout: await readLayout(file),
        changes,
        ...(planner === undefined ? {} : { planner: readPlannerRules(planner) }),
        ...(startup === undefined ? {} : { startupMs: startup }),
      };
      const answers = await runVariants(variantsOf(question, sweeps), {
        onProgress: (ratio) => terminal.progress(`${bar(ratio)}  simulating`),
        ...(threads === undefined ? {} : { threads }),
      });
      if (html !== undefined) {
        writeFileSync(
          html,
          htmlReport(
            answers,
            `${path.basename(file)} under ${flags.trace ?? flags.decisions ?? flags.load ?? "constant load"}`,
          ),
        );
      }
      terminal.json(
        sweeps.length === 0
          ? withoutOutcomes(answers[0]!)
          : { runs: answers.map((one) => ({ settings: one.settings, ...withoutOutcomes(one) })) },
      );
      terminal.print(sweeps.length === 0 ? describe(answers[0]!) : compare(answers));
      if (html !== undefined) terminal.print(`\n${html} written`);
    });
}

function withoutOutcomes({ result }: Answered): object {
  const { outcomes: _, ...figures } = result;
  return figures;
}

function sweep(text: string): string {
  if (!/^[^=]+=.+$/.test(text)) throw new InvalidArgumentError("expected key=a,b,c");
  return text;
}

function change(text: string, all: WorkerChange[]): WorkerChange[] {
  const [time = "", type, which = ""] = text.split(":");
  const atMs = duration(time);
  if (which !== "" && (type === "fail" || type === "drain")) return [...all, { atMs, type, worker: which }];
  if (which !== "" && type === "start") return [...all, { atMs, type, pool: which }];
  throw new InvalidArgumentError("expected TIME:fail:WORKER, TIME:drain:WORKER or TIME:start:POOL");
}

function describe({ result }: Answered): string {
  const row = (name: string, d: typeof result.ttftMs): (string | number)[] => [
    name,
    ...[d.mean, d.p50, d.p90, d.p99, d.max].map(short),
  ];
  const troubles = [
    result.rejected > 0 ? `${result.rejected} rejected: longer than a worker's KV` : "",
    result.unfinished > 0 ? `${result.unfinished} found no worker` : "",
    result.migrations > 0 ? `${result.migrations} migrated` : "",
    result.preemptions > 0 ? `${result.preemptions} preemptions` : "",
  ].filter((trouble) => trouble !== "");
  return [
    `${result.completed} of ${result.requests} requests in ${(result.durationMs / 1000).toFixed(1)} virtual seconds${troubles.length === 0 ? "" : `; ${troubles.join(", ")}`}`,
    "",
    table([
      ["", "mean", "p50", "p90", "p99", "max"],
      row("TTFT ms", result.ttftMs),
      row("TPOT ms", result.tpotMs),
      row("ITL ms", result.itlMs),
      row("request ms", result.requestMs),
      ...(result.transferredBytes > 0 ? [row("KV transfer ms", result.transferMs)] : []),
    ]),
    "",
    `${short(result.requestsPerSecond)} requests/s, ${short(result.outputTokensPerSecond)} output tokens/s, ${short(result.outputTokensPerSecondPerGpu)} per GPU, ${short(result.hitRatio * 100)} % of prompt tokens cached${result.goodputPerSecond === undefined ? "" : `, goodput ${short(result.goodputPerSecond)}/s`}`,
    ...(result.scaling === undefined ? [] : [planned(result)]),
    "",
    table([
      ["worker", "requests", "busy %", "KV %", "", "over time"],
      ...result.workers.map((worker) => [
        worker.worker,
        worker.requests,
        Math.round(worker.busyRatio * 100),
        Math.round(100 * Math.max(0, ...worker.timeline.points.map((point) => point.kvRatio))),
        worker.end ?? "",
        sparkline(worker.timeline.points.map((point) => point.busyRatio)),
      ]),
    ]),
  ].join("\n");
}

function planned({ scaling, gpuHours }: Answered["result"]): string {
  const { scaleUps, scaleDowns, moments } = scaling!;
  const most = (role: "prefill" | "decode"): string => {
    const counts = moments.map(({ target }) => target[role]);
    return `${role} ${Math.min(...counts)} to ${Math.max(...counts)}`;
  };
  const ranges =
    moments.length === 0
      ? "no interval ended"
      : [...(moments.some(({ target }) => target.prefill > 0) ? [most("prefill")] : []), most("decode")].join(
          ", ",
        );
  return `planner: ${scaleUps} scale-ups, ${scaleDowns} scale-downs, ${short(gpuHours)} GPU-hours; workers: ${ranges}`;
}

function compare(answers: readonly Answered[]): string {
  return table([
    [
      ...["", "TTFT p50", "p99 ms", "TPOT p50 ms", "requests/s", "tokens/s/GPU", "cached %", "not done"],
      ...(answers.some(({ result }) => result.scaling !== undefined) ? ["ups/downs", "GPU-hours"] : []),
    ],
    ...answers.map(({ label, result }) => [
      label,
      short(result.ttftMs.p50),
      short(result.ttftMs.p99),
      short(result.tpotMs.p50),
      short(result.requestsPerSecond),
      short(result.outputTokensPerSecondPerGpu),
      short(result.hitRatio * 100),
      result.requests - result.completed,
      ...(result.scaling === undefined
        ? []
        : [`${result.scaling.scaleUps}/${result.scaling.scaleDowns}`, short(result.gpuHours)]),
    ]),
  ]);
}

function short(value: number): number {
  return value >= 100 ? Math.round(value) : Number(value.toPrecision(3));
}

/** Thirty-two columns of a value from 0 to 1. */
function sparkline(values: readonly number[]): string {
  const columns = Math.min(32, values.length);
  return Array.from({ length: columns }, (_, i) => {
    const from = Math.floor((i * values.length) / columns);
    const part = values.slice(from, Math.max(from + 1, Math.floor(((i + 1) * values.length) / columns)));
    const mean = part.reduce((a, b) => a + b, 0) / part.length;
    return "▁▂▃▄▅▆▇█"[Math.min(7, Math.floor(mean * 8))];
  }).join("");
}
