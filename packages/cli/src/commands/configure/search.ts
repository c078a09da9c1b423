import { Command } from "commander";
import { search, type FoundLayout, type SearchResult } from "@stator/configurator";
import { positive } from "../../options.ts";
import { createTerminal, table } from "../../terminal.ts";
import {
  limitsOf,
  targetOf,
  withLimits,
  withTarget,
  withWorkload,
  workloadOf,
  type LimitFlags,
  type TargetFlags,
  type WorkloadFlags,
} from "./flags.ts";

type Flags = TargetFlags & WorkloadFlags & LimitFlags & { gpus: number; top: number; json?: boolean };

/** `stator configure search`: the best layouts within a GPU budget and an SLO. */
export function searchCommand(): Command {
  return withLimits(
    withWorkload(
      withTarget(new Command("search").description("the best layouts within a GPU budget and an SLO")),
    ),
  )
    .requiredOption("--gpus <n>", "the whole budget", positive)
    .option("--top <n>", "layouts to show", positive, 5)
    .action((flags: Flags) => {
      const terminal = createTerminal(flags.json === true);
      const result = search({
        ...targetOf(flags),
        ...workloadOf(flags),
        ...limitsOf(flags),
        gpus: flags.gpus,
        top: flags.top,
      });
      terminal.json(result);
      terminal.print(describe(result, flags));
    });
}

function describe(result: SearchResult, flags: Flags): string {
  const header = ["", "layout", "tok/s/GPU", "tok/s/user", "TTFT ms", "TPOT ms", "request s", "GPUs"];
  const rows = result.layouts.map((layout, i) => [`${i + 1}`, workers(layout), ...figures(layout)]);
  const [best] = result.layouts;
  return [
    `${flags.model} on ${flags.gpus} × ${flags.system} with ${flags.backend}: ${result.considered} layouts predicted`,
    "",
    table([header, ...rows]),
    "",
    ...(best === undefined ? [] : [best.reason]),
    ...(result.disaggregationGain === undefined
      ? []
      : [`Disaggregated over aggregated: ${result.disaggregationGain.toFixed(2)} ×`]),
    ...(best === undefined
      ? []
      : [
          `Eight of ten measured deployments lay within TTFT ${range(best.ttftRangeMs)} and TPOT ${range(best.tpotRangeMs)} of such a prediction.`,
        ]),
  ].join("\n");
}

/** `disagg: 2 × prefill TP1, 3 × decode TP2 (batch 64)` */
export function workers({ mode, workers: groups }: FoundLayout): string {
  const parts = groups.map(
    ({ role, count, label, batch }) =>
      `${count} × ${role === "both" ? "" : `${role} `}${label}${role === "prefill" ? "" : ` (batch ${batch})`}`,
  );
  return `${mode}: ${parts.join(", ")}`;
}

function figures(layout: FoundLayout): number[] {
  return [
    Math.round(layout.tokensPerSecondPerGpu),
    Math.round(layout.tokensPerSecondPerUser),
    Math.round(layout.ttftMs),
    Math.round(layout.tpotMs * 10) / 10,
    Math.round(layout.requestMs / 100) / 10,
    layout.gpusUsed,
  ];
}

function range([low, high]: readonly [number, number]): string {
  return `${low.toFixed(low < 20 ? 1 : 0)}–${high.toFixed(high < 20 ? 1 : 0)} ms`;
}
