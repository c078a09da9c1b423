import { Command, Option } from "commander";
import {
  arimaForecaster,
  backtest,
  constantForecaster,
  harmonicForecaster,
  holtWintersForecaster,
  kalmanForecaster,
  loadProphetForecaster,
} from "@stator/planner";
import { positive, share } from "../../options.ts";
import { createTerminal, table } from "../../terminal.ts";
import { loadOf } from "./flags.ts";

interface Flags {
  trace?: string;
  load?: string;
  intervalSeconds: number;
  horizonSeconds: number;
  origins: number;
  coverage: number;
  prophet?: boolean;
  json?: boolean;
}

/** `stator planner backtest`: how each forecaster would have done on a load. */
export function backtestCommand(): Command {
  return new Command("backtest")
    .description("rolling forecasts over a load: MASE and coverage of each forecaster")
    .addOption(new Option("--trace <file>", "requests in Mooncake's format").conflicts("load"))
    .option("--load <kind,key=value…>", "or generated (default sine)")
    .option("--interval-seconds <s>", "length of one step", positive, 30)
    .option("--horizon-seconds <s>", "how far ahead", positive, 60)
    .option("--origins <n>", "forecasts of each forecaster", positive, 24)
    .option("--coverage <share>", "of outcomes that intervals should hold, below 1", share, 0.8)
    .option("--prophet", "Prophet too: about a second for each forecast")
    .option("--json", "print one JSON object")
    .action(async (flags: Flags) => {
      const terminal = createTerminal(flags.json === true);
      const { workload, durationMs } = loadOf(flags);
      const stepMs = flags.intervalSeconds * 1000;
      const steps = Math.floor(durationMs / stepMs);
      const requests = new Array<number>(steps).fill(0);
      const tokens = new Array<number>(steps).fill(0);
      const outputs = new Array<number>(steps).fill(0);
      for (const { atMs, inputTokens, outputTokens } of workload) {
        const step = Math.floor(atMs / stepMs);
        if (step >= steps) continue;
        requests[step]! += 1;
        tokens[step]! += inputTokens;
        outputs[step]! += outputTokens;
      }
      const mean = (sums: readonly number[]): number[] =>
        sums.map((sum, i) => sum / Math.max(1, requests[i]!));
      const measures = {
        requestsPerSecond: requests.map((n) => n / flags.intervalSeconds),
        inputTokens: mean(tokens),
        outputTokens: mean(outputs),
      };
      const forecasters = [
        constantForecaster(),
        holtWintersForecaster(),
        kalmanForecaster(),
        harmonicForecaster(),
        arimaForecaster(),
        ...(flags.prophet === true
          ? [await loadProphetForecaster({ stepSeconds: flags.intervalSeconds })]
          : []),
      ];
      const horizonSteps = Math.max(1, Math.ceil(flags.horizonSeconds / flags.intervalSeconds));
      const rows = Object.entries(measures).flatMap(([measure, series]) =>
        forecasters.map((forecaster) => {
          terminal.progress(`${measure}: ${forecaster.name}`);
          const { errors: _, ...score } = backtest(forecaster, series, { horizonSteps, ...flags });
          return { measure, ...score };
        }),
      );
      terminal.json({ steps, horizonSteps, scores: rows });
      terminal.print(
        table([
          ["", "forecaster", "MASE", "own coverage", "calibrated", "origins"],
          ...rows.map(({ measure, name, mase, coverage, calibratedCoverage, origins }) => [
            measure,
            name,
            mase.toFixed(3),
            `${Math.round(coverage * 100)} %`,
            `${Math.round(calibratedCoverage * 100)} %`,
            origins,
          ]),
        ]),
      );
    });
}
