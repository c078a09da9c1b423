import { readFileSync } from "node:fs";
import { Option, type Command } from "commander";
import type { TargetOptions, WorkloadOptions } from "@stator/configurator";
import { systemFromYaml, type BackendName, type HfConfig } from "@stator/simulator/performance-model";
import { number, positive } from "../../options.ts";

/** Flags that say what is served, on what, by which engine. */
export interface TargetFlags {
  readonly model: string;
  readonly system: string;
  readonly backend: BackendName;
  readonly quantization?: string;
}

export interface WorkloadFlags {
  readonly isl: number;
  readonly osl: number;
  readonly prefix?: number;
}

export interface LimitFlags {
  readonly ttft?: number;
  readonly tpot?: number;
  readonly requestLatency?: number;
}

/** `--model`, `--system`, `--backend`, `--quantization`, `--json`. */
export function withTarget(command: Command): Command {
  return command
    .requiredOption("--model <name|config.json>", "a Hugging Face id, a short name, or a config.json")
    .requiredOption("--system <name|system.yaml>", "h200, b200, gb200 …, or a record of your own")
    .addOption(
      new Option("--backend <engine>", "which engine")
        .choices(["trtllm", "vllm", "sglang"])
        .default("trtllm"),
    )
    .option("--quantization <name>", "fp8, nvfp4, bf16 …; as published when absent")
    .option("--json", "print one JSON object");
}

/** `--isl`, `--osl`, `--prefix`. */
export function withWorkload(command: Command): Command {
  return command
    .option("--isl <tokens>", "input tokens of a request", positive, 4000)
    .option("--osl <tokens>", "output tokens of a request", positive, 1000)
    .option("--prefix <tokens>", "leading input tokens found in a cache", number);
}

/** `--ttft`, `--tpot`, `--request-latency`. */
export function withLimits(command: Command): Command {
  return command
    .option("--ttft <ms>", "longest mean time to first token", number)
    .option("--tpot <ms>", "longest mean time per output token", number)
    .option("--request-latency <ms>", "longest whole request", number);
}

export function targetOf(flags: TargetFlags): TargetOptions {
  return {
    model: flags.model.endsWith(".json")
      ? (JSON.parse(readFileSync(flags.model, "utf8")) as HfConfig)
      : flags.model,
    system: /\.ya?ml$/.test(flags.system) ? systemFromYaml(readFileSync(flags.system, "utf8")) : flags.system,
    backend: flags.backend,
    ...(flags.quantization === undefined ? {} : { quantization: flags.quantization }),
  };
}

export function workloadOf(flags: WorkloadFlags): WorkloadOptions {
  return {
    inputTokens: flags.isl,
    outputTokens: flags.osl,
    ...(flags.prefix === undefined ? {} : { prefixTokens: flags.prefix }),
  };
}

export function limitsOf(flags: LimitFlags): { ttftMs?: number; tpotMs?: number; requestMs?: number } {
  return {
    ...(flags.ttft === undefined ? {} : { ttftMs: flags.ttft }),
    ...(flags.tpot === undefined ? {} : { tpotMs: flags.tpot }),
    ...(flags.requestLatency === undefined ? {} : { requestMs: flags.requestLatency }),
  };
}
