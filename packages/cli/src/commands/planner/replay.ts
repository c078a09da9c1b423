import { writeFileSync } from "node:fs";
import path from "node:path";
import { Command, InvalidArgumentError, Option } from "commander";
import type { Profile, Slo } from "@stator/planner";
import {
  modelledTimes,
  plannerReplay,
  plannerReport,
  profileOfTimes,
  strategyNames,
  timesOfProfile,
  type PlannerReplayRow,
  type StrategyName,
} from "@stator/simulator";
import { number, positive } from "../../options.ts";
import { createTerminal, table } from "../../terminal.ts";
import { loadOf, readProfile, slo } from "./flags.ts";

interface Flags {
  trace?: string;
  load?: string;
  profile?: string;
  slo?: Slo;
  startupSeconds: number;
  intervalSeconds: number;
  gpus: number;
  graph: "disaggregated" | "aggregated";
  strategy?: StrategyName[];
  report?: string;
  explain?: boolean;
  json?: boolean;
}

/** As in Dynamo's published replay of a Mooncake trace, and in its goodput test. */
const traceSlo: Slo = { ttftMs: 1500, itlMs: 50 };
const generatedSlo: Slo = { ttftMs: 200, itlMs: 10 };

/** `stator planner replay`: the real decisions on a recorded or generated load, in virtual time. */
export function replayCommand(): Command {
  return new Command("replay")
    .description("replay a load against a simulated cluster under each scaling strategy")
    .addOption(new Option("--trace <file>", "requests in Mooncake's format").conflicts("load"))
    .option(
      "--load <kind,key=value…>",
      "or generated: sine, constant, step, ramp, burst, drop, mix (default sine)",
    )
    .option("--profile <file>", "profile.json; Llama-3.1-8B FP8 on one H200 when absent", readProfile)
    .option("--slo <ttft=MS,itl=MS>", "targets; ttft=200,itl=10, for traces ttft=1500,itl=50", slo)
    .option("--startup-seconds <s>", "until a new worker serves", number, 30)
    .option("--interval-seconds <s>", "between decisions", positive, 30)
    .option("--gpus <n>", "budget", positive, 16)
    .addOption(
      new Option("--graph <kind>", "prefill and decode apart or together")
        .choices(["disaggregated", "aggregated"])
        .default("disaggregated"),
    )
    .addOption(
      new Option("--strategy <name,…>", `which of ${strategyNames.join(", ")}; all when absent`).argParser(
        strategies,
      ),
    )
    .option("--report <file.html>", "also write a page of load, forecast, replicas and SLO over time")
    .option("--explain", "print each decision with its reasons")
    .option("--json", "print one JSON array")
    .action((flags: Flags & { profile?: string | Profile }) => {
      const terminal = createTerminal(flags.json === true);
      const given = flags.profile as Profile | undefined;
      const times = given === undefined ? modelledTimes() : timesOfProfile(given);
      const target = flags.slo ?? (flags.trace === undefined ? generatedSlo : traceSlo);
      const rows = plannerReplay({
        ...loadOf(flags),
        times,
        profile: given ?? profileOfTimes(times),
        slo: target,
        limits: { graph: flags.graph, gpus: flags.gpus },
        startupMs: flags.startupSeconds * 1000,
        intervalMs: flags.intervalSeconds * 1000,
        ...(flags.strategy === undefined ? {} : { strategies: flags.strategy }),
        onProgress: (name) => terminal.progress(`${name} done`),
      });
      if (flags.report !== undefined)
        writeFileSync(
          flags.report,
          plannerReport(
            rows,
            `${flags.trace === undefined ? (flags.load ?? "sine") : path.basename(flags.trace)} on ${times.source}; TTFT ${target.ttftMs} ms, ITL ${target.itlMs} ms, ${flags.gpus} GPUs, start-up ${flags.startupSeconds} s`,
          ),
        );
      terminal.json(rows.map(({ timeline: _timeline, decisions: _decisions, ...row }) => row));
      terminal.print(describe(rows));
      if (flags.explain === true) terminal.print(explain(rows));
    });
}

/** Repeatable, and each may be a list. */
function strategies(text: string, before: StrategyName[] = []): StrategyName[] {
  const names = text.split(",");
  const unknown = names.find((name) => !strategyNames.includes(name as StrategyName));
  if (unknown !== undefined)
    throw new InvalidArgumentError(`no strategy "${unknown}"; known: ${strategyNames.join(", ")}`);
  return [...before, ...(names as StrategyName[])];
}

function describe(rows: readonly PlannerReplayRow[]): string {
  return table([
    ["", "SLO kept", "GPU-hours", "goodput/GPU-h", "ups", "downs", "TTFT ms", "p90", "ITL ms", "p90"],
    ...rows.map((row) => [
      row.strategy === "static" ? `static ${row.layout.prefill}+${row.layout.decode}` : row.strategy,
      `${(row.sloAttainment * 100).toFixed(2)} %`,
      row.gpuHours.toFixed(3),
      Math.round(row.goodputPerGpuHour),
      row.scaleUps,
      row.scaleDowns,
      Math.round(row.meanTtftMs),
      Math.round(row.p90TtftMs),
      row.meanItlMs.toFixed(2),
      row.p90ItlMs.toFixed(2),
    ]),
  ]);
}

function explain(rows: readonly PlannerReplayRow[]): string {
  const own = rows.find((row) => row.decisions !== undefined);
  return (own?.decisions ?? [])
    .flatMap(({ atMs, forecast, plan }) => [
      `${Math.round(atMs / 1000)} s: ${plan.prefill} prefill + ${plan.decode} decode for ${forecast.requestsPerSecondUpper.toFixed(1)} requests/s (${forecast.requestsPerSecond.toFixed(1)} expected)`,
      ...plan.reasons.map(({ role, code, message }) => `    ${role} ${code}: ${message}`),
    ])
    .join("\n");
}
