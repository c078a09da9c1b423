import type { BackendName } from "@stator/simulator/performance-model";
import {
  backendNames,
  modelNames,
  parallelism,
  quantizationProblems,
  systemNames,
  weightBytesPerGpu,
} from "@stator/simulator/performance-model";
import { smallestFit } from "./search/splits.ts";
import { defaultEngineVersions } from "./generate/engines/engine-command.ts";
import type { TargetOptions } from "./target.ts";
import { resolveTarget } from "./target.ts";

export interface SupportRow {
  readonly model: string;
  readonly system: string;
  readonly backend: BackendName;
  readonly engineVersion: string;
  readonly quantization: string;
  readonly weightGib: number;
  /** Fewest GPUs of one worker that hold a request of 4096 tokens; undefined when none does. */
  readonly smallestGpus: number | undefined;
  readonly isSupported: boolean;
  /** Where its times come from: systems whose deployments were fitted, or the same fractions of another data sheet. */
  readonly calibration: "fitted" | "transferred";
  readonly problems: readonly string[];
}

const fittedSystems: readonly string[] = ["h100", "h200", "b200", "b300", "gb200", "gb300"];
const supportTokens = 4096;

/** What can be configured: one row per model, system and engine asked for; all built-in ones where left out. */
export function support(
  options: {
    readonly model?: TargetOptions["model"];
    readonly system?: TargetOptions["system"];
    readonly backend?: BackendName;
    readonly quantization?: string;
  } = {},
): SupportRow[] {
  const rows: SupportRow[] = [];
  for (const model of options.model === undefined ? modelNames() : [options.model])
    for (const system of options.system === undefined ? systemNames() : [options.system])
      for (const backend of options.backend === undefined ? backendNames : [options.backend])
        rows.push(
          supportOf({
            model,
            system,
            backend,
            ...(options.quantization === undefined ? {} : { quantization: options.quantization }),
          }),
        );
  return rows;
}

function supportOf(options: TargetOptions): SupportRow {
  const target = resolveTarget(options);
  const problems = quantizationProblems(target.system, target.quantization);
  if (
    options.backend === "trtllm" &&
    target.system.computeCapability < 90 &&
    target.quantization.experts !== "bf16"
  )
    problems.push(
      `${options.backend} has no kernels for ${target.quantization.experts} experts on ${target.system.name}`,
    );
  const smallestGpus = smallestFit(target, supportTokens);
  if (smallestGpus === undefined) problems.push("no supported split fits the memory");
  return {
    model: target.model.name,
    system: target.system.name,
    backend: options.backend,
    engineVersion: defaultEngineVersions[options.backend],
    quantization:
      target.quantization.dense === target.quantization.experts
        ? target.quantization.dense
        : `${target.quantization.dense}, experts ${target.quantization.experts}`,
    weightGib: weightBytesPerGpu({ ...target, parallelism: parallelism() }) / 2 ** 30,
    smallestGpus,
    isSupported: problems.length === 0,
    calibration: fittedSystems.includes(target.system.name) ? "fitted" : "transferred",
    problems,
  };
}
