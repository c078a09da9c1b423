// `npm start`: worker processes scaled up and down by the SLO planner while a sine of requests comes in. Two minutes;
// `npm start -- --seconds 20` for a shorter look.
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { parseLayout } from "@stator/core";
import { createMetricsSource, createPlanner, type PlannerDecision } from "@stator/planner";
import { processScaler, up } from "stator";
import { sendSine } from "./load.ts";
import { layout as shape, limits, profile, slo } from "./settings.ts";

const { values } = parseArgs({ options: { seconds: { type: "string", default: "120" } } });
const seconds = Number(values.seconds);
const silent = { debug() {}, info() {}, warn() {}, error() {} };
const say = (text: string): void => void process.stdout.write(`${text}\n`);

const layout = parseLayout({ ...shape, namespace: `slo-autoscaling-${process.pid}` });
say("Starting one worker process and one frontend ...");
await using running = await up({
  layout,
  main: fileURLToPath(import.meta.resolve("stator/main")),
  logLevel: "silent",
  logger: silent,
});
const scaler = processScaler({ up: running, model: "sim", decode: "workers" });
const percentile = slo.percentile ?? 90;
const seen: PlannerDecision[] = [];

say(
  `Serving at ${running.url}. Objective: TTFT ${slo.ttftMs} ms and ITL ${slo.itlMs} ms for ${percentile} % of requests.\n`,
);
say("  time  requests/s                 planned for  TTFT      workers (█ serving, ░ starting)");
await using _planner = createPlanner({
  observe: createMetricsSource({
    urls: [`${running.url}/metrics`],
    model: "sim",
    percentile,
    workers: async () => (await scaler.state(new AbortController().signal)).ready,
  }),
  scaler,
  profile,
  slo,
  limits,
  startupMs: 3000,
  intervalMs: seconds < 60 ? 2000 : 4000,
  sampleMs: seconds < 60 ? 1000 : 2000,
  onDecision(decision) {
    seen.push(decision);
    const { observed, forecast, target } = decision;
    const rate = (observed.requests / observed.durationMs) * 1000;
    const serving = Math.round(observed.workers.decode);
    const ttft = observed.ttftMs === undefined ? "" : `${Math.round(observed.ttftMs)} ms`;
    say(
      [
        `${String(Math.round((performance.now() - began) / 1000)).padStart(4)} s`,
        `${rate.toFixed(1).padStart(5)} ${"▪".repeat(Math.min(20, Math.round(rate))).padEnd(20)}`,
        `${forecast.requestsPerSecond.toFixed(1).padStart(11)}`,
        ttft.padStart(9),
        `${"█".repeat(serving)}${"░".repeat(Math.max(0, target.decode - serving))} ${target.decode}`,
      ].join("  "),
    );
  },
});

const began = performance.now();
const result = await sendSine({
  url: running.url,
  model: "sim",
  seconds,
  least: 1,
  most: 14,
  ttftMs: slo.ttftMs,
});

const targets = seen.map((decision) => decision.target.decode);
const most = Math.max(...targets);
const ups = targets.filter((n, i) => i > 0 && n > targets[i - 1]!).length;
const downs = targets.filter((n, i) => i > 0 && n < targets[i - 1]!).length;
const mean = targets.reduce((sum, n) => sum + n, 0) / Math.max(1, targets.length);
say(
  `\n${result.sent} requests, ${result.failed} failed, TTFT within ${slo.ttftMs} ms for ${Math.round((result.good / Math.max(1, result.sent)) * 100)} %`,
);
say(
  `Workers: ${Math.min(...targets)} to ${most}, ${mean.toFixed(1)} in the mean; ${ups} times up, ${downs} times down.`,
);
say(
  `Against ${most} throughout, as a fixed number for the peak: ${Math.round((1 - mean / most) * 100)} % less.`,
);
const last = seen.filter(({ before, target }) => before.decode !== target.decode).at(-1);
if (last !== undefined)
  say(
    `The last change, ${last.before.decode} to ${last.target.decode}: ${last.plan.reasons.map(({ message }) => message).join("; ")}.`,
  );
process.exitCode = result.failed === 0 && most > 1 ? 0 : 1;
