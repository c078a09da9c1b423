import { Command } from "commander";
import { recommend } from "@stator/configurator";
import { number, positive } from "../../options.ts";
import { createTerminal } from "../../terminal.ts";
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
import { workers } from "./search.ts";

type Flags = TargetFlags &
  WorkloadFlags &
  LimitFlags & { rate?: number; concurrency?: number; maxGpus?: number; json?: boolean };

/** `stator configure recommend`: the fewest GPUs for a load. */
export function recommendCommand(): Command {
  return withLimits(
    withWorkload(
      withTarget(new Command("recommend").description("the fewest GPUs that serve a rate or a concurrency")),
    ),
  )
    .option("--rate <requests/s>", "requests per second to serve", number)
    .option("--concurrency <n>", "or: requests in flight to serve", positive)
    .option("--max-gpus <n>", "never more than this", positive)
    .action((flags: Flags) => {
      const terminal = createTerminal(flags.json === true);
      const result = recommend({
        ...targetOf(flags),
        ...workloadOf(flags),
        ...limitsOf(flags),
        ...(flags.rate === undefined ? {} : { requestRate: flags.rate }),
        ...(flags.concurrency === undefined ? {} : { concurrency: flags.concurrency }),
        ...(flags.maxGpus === undefined ? {} : { maxGpus: flags.maxGpus }),
      });
      terminal.json(result);
      const { layout } = result;
      terminal.print(
        `${result.gpus} GPUs, ${Math.round(result.utilization * 100)} % used\n${workers(layout)}\nTTFT ${layout.ttftMs.toFixed(0)} ms, TPOT ${layout.tpotMs.toFixed(1)} ms, ${layout.tokensPerSecondPerGpu.toFixed(0)} tokens/s/GPU`,
      );
    });
}
