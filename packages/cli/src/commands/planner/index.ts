import path from "node:path";
import { Command } from "commander";
import { createMetrics } from "@stator/metrics";
import {
  advisory,
  createForecastThread,
  createMetricsSource,
  createPlanner,
  horizonOf,
  readWorkerLoads,
  webhook,
  type PlannerDecision,
  type Scaler,
} from "@stator/planner";
import { inClusterAccess, kubeconfigAccess, kubernetesScaler } from "@stator/planner/kubernetes";
import { createPlannerService } from "@stator/planner/service";
import { closeOnSignal } from "@stator/runtime";
import { servePlanner } from "../../planner/planner-server.ts";
import { withoutUndefined } from "../../options.ts";
import { createLogger } from "../../processes/logger.ts";
import { createTerminal } from "../../terminal.ts";
import { backtestCommand } from "./backtest.ts";
import { readPlannerConfig, type PlannerConfig } from "./config.ts";
import { readProfile } from "./flags.ts";
import { exampleHelp } from "./example-config.ts";
import { replayCommand } from "./replay.ts";

/** A fit may take a sample's time, and its thread some to start. */
const leastForecastMs = 5000;

interface Flags {
  config: string;
  explain?: boolean;
  json?: boolean;
}

/** `stator planner`: how many workers, now and for what is coming. */
export function plannerCommand(): Command {
  return new Command("planner")
    .usage("--config <planner.yaml> [--explain] [--json]\n       stator planner <command> [options]")
    .addHelpText("after", exampleHelp)
    .addCommand(runCommand(), { isDefault: true })
    .addCommand(replayCommand())
    .addCommand(backtestCommand());
}

/** `stator planner --config planner.yaml`: a command of its own, so that its flags are not taken for those of others. */
function runCommand(): Command {
  return new Command("run")
    .description("run the control loop (what `stator planner --config` does)")
    .requiredOption("--config <planner.yaml>", "profile, objectives, limits, metrics and scaler")
    .option("--explain", "print every decision with its reasons")
    .option("--json", "print every decision as one line of JSON")
    .action((flags: Flags) => runPlanner(flags.config, flags));
}

async function runPlanner(file: string, flags: Flags): Promise<void> {
  const config = readPlannerConfig(file);
  const terminal = createTerminal(flags.json === true);
  const logger = createLogger("info", { process: "planner" });
  const profile = config.profile === undefined ? undefined : readProfile(config.profile);
  const { model, urls } = config.metrics;
  if (model !== undefined && profile?.model !== undefined && !isSameModel(model, profile.model))
    logger.warn(
      "the profile is of another model than the metrics; if that is no other name of it, profile yours",
      {
        profile: profile.model,
        metrics: model,
        command: `stator profile --url URL --model ${model} --output ${path.basename(config.profile!)}`,
      },
    );
  const scaler = await scalerOf(config, (text) => terminal.print(text));
  const { signal } = new AbortController();
  const metrics = createMetrics();
  const intervalMs = config.intervalSeconds * 1000;
  const startupMs = config.startupSeconds * 1000;
  const sampleMs = Math.min(15_000, intervalMs / 2);
  // Fits run in a thread of their own: ARIMA's may take seconds.
  const forecasts =
    config.profile === undefined
      ? undefined
      : createForecastThread({
          ...horizonOf({ startupMs, intervalMs, sampleMs }),
          stepSeconds: sampleMs / 1000,
          deadlineMs: Math.max(leastForecastMs, sampleMs),
          ...(config.forecasters === undefined ? {} : { forecasters: config.forecasters }),
        });
  const slo = withoutUndefined(config.slo);
  const planner = createPlanner({
    observe: createMetricsSource({
      urls,
      // Advice changes nothing: what is observed is what these workers did.
      workers: async () =>
        config.scaler.kind === "advisory" ? config.scaler.workers : (await scaler.state(signal)).ready,
      percentile: config.slo.percentile ?? 90,
      logger,
      ...(model === undefined ? {} : { model }),
    }),
    scaler,
    ...(profile === undefined ? {} : { profile }),
    ...(config.thresholds === undefined ? {} : { thresholds: withoutUndefined(config.thresholds) }),
    slo,
    limits: withoutUndefined(config.limits),
    intervalMs,
    sampleMs,
    startupMs,
    meter: metrics,
    ...(forecasts === undefined ? {} : { forecasts }),
    logger,
    onDecision(decision) {
      terminal.json(decision);
      terminal.print(describe(decision, flags.explain === true));
    },
  });
  const server = await servePlanner({
    ...config.listen,
    service: createPlannerService({ planner }),
    metrics,
  });
  terminal.print(`PlannerService on ${server.rpcUrl}\nmetrics on ${server.httpUrl}/metrics`);
  // Forecasts first: a fit in progress must not hold up the end.
  await closeOnSignal(server, ...(forecasts === undefined ? [] : [forecasts]), planner);
}

async function scalerOf({ scaler, metrics }: PlannerConfig, say: (text: string) => void): Promise<Scaler> {
  switch (scaler.kind) {
    case "advisory": {
      // As if it were followed: else every second decision would take back the one before.
      let advised = scaler.workers;
      return advisory({
        state: () => ({ target: advised, ready: advised }),
        onAdvice(wanted) {
          advised = wanted;
          say(`advice: ${wanted.prefill} prefill, ${wanted.decode} decode`);
        },
      });
    }
    case "webhook":
      return webhook({
        url: scaler.url,
        ...(scaler.headers === undefined ? {} : { headers: scaler.headers }),
      });
    case "kubernetes":
      return kubernetesScaler({
        access:
          scaler.kubeconfig !== undefined
            ? await kubeconfigAccess(scaler.kubeconfig)
            : scaler.server === undefined
              ? await inClusterAccess(process.env)
              : { server: scaler.server },
        loads: (signal) => readWorkerLoads({ urls: metrics.urls, signal }),
        namespace: scaler.namespace,
        decode: scaler.decode,
        ...(scaler.prefill === undefined ? {} : { prefill: scaler.prefill }),
      });
  }
}

/** `meta-llama/Llama-3.1-8B` and `llama-3.1-8b` are one: names served often lack the owner. */
function isSameModel(one: string, other: string): boolean {
  const bare = (name: string): string => name.slice(name.lastIndexOf("/") + 1).toLowerCase();
  return bare(one) === bare(other);
}

function describe(
  { loop, observed, forecast, before, target, plan }: PlannerDecision,
  explains: boolean,
): string {
  const rate = (observed.requests / observed.durationMs) * 1000;
  const line = `${loop}: ${rate.toFixed(1)} requests/s, ${forecast.requestsPerSecond.toFixed(1)} expected, ${forecast.requestsPerSecondUpper.toFixed(1)} planned for: ${before.prefill}+${before.decode} to ${target.prefill}+${target.decode}, headroom ${plan.headroom.toFixed(2)}`;
  if (!explains) return line;
  return [line, ...plan.reasons.map(({ role, code, message }) => `    ${role} ${code}: ${message}`)].join(
    "\n",
  );
}
