import type {
  BackendName,
  HfConfig,
  ModelSpec,
  OperationTimes,
  Quantization,
  SystemSpec,
} from "@stator/simulator/performance-model";
import {
  backendNames,
  findModel,
  findSystem,
  modelFromConfig,
  namedQuantization,
} from "@stator/simulator/performance-model";
import type { Arrival } from "./serving/predict.ts";
import { configuratorError } from "./configurator-error.ts";

/** What is to be served, on what, by which engine. */
export interface TargetOptions {
  /** A Hugging Face id or short name, a parsed `config.json`, or shapes. */
  readonly model: string | HfConfig | ModelSpec;
  /** `h200`, `gb200` …, or a record of one's own. */
  readonly system: string | SystemSpec;
  readonly backend: BackendName;
  /** `auto` (default) is what the checkpoint was published in, or a name such as `fp8`, `nvfp4`, `bf16`. */
  readonly quantization?: string | Quantization;
  /** Measured kernel tables; the calibrated roofline fills what they lack. */
  readonly times?: OperationTimes;
}

/** What users send and what they expect. Lengths are tokens per request. */
export interface WorkloadOptions {
  readonly inputTokens: number;
  readonly outputTokens: number;
  /** Leading input tokens found in a prefix cache. Default 0. */
  readonly prefixTokens?: number;
  /** How requests arrive: `closed` (default), `poisson` or `burst`; it changes the queueing part of TTFT. */
  readonly arrival?: Arrival;
}

export interface Target {
  readonly model: ModelSpec;
  readonly system: SystemSpec;
  readonly backend: BackendName;
  readonly quantization: Quantization;
  readonly times?: OperationTimes;
}

/**
 * Looks names up and checks the engine.
 *
 * @throws SimulatorError for an unknown model, system or quantization; ConfiguratorError `CONFIGURATOR_OPTION_INVALID`.
 */
export function resolveTarget(options: TargetOptions): Target {
  if (!backendNames.includes(options.backend))
    throw configuratorError(
      "CONFIGURATOR_OPTION_INVALID",
      `backend is "${String(options.backend)}"; use one of ${backendNames.join(", ")}`,
      { option: "backend" },
    );
  const model = resolveModel(options.model);
  const system = typeof options.system === "string" ? findSystem(options.system) : options.system;
  const { quantization = "auto" } = options;
  return {
    model,
    system,
    backend: options.backend,
    quantization:
      typeof quantization === "string" ? namedQuantization(quantization, model, system) : quantization,
    ...(options.times ? { times: options.times } : {}),
  };
}

function resolveModel(model: TargetOptions["model"]): ModelSpec {
  if (typeof model === "string") return findModel(model);
  return isModelSpec(model) ? model : modelFromConfig(model);
}

function isModelSpec(model: HfConfig | ModelSpec): model is ModelSpec {
  return Array.isArray(model.layers) && typeof model.hidden === "number";
}

/** Refuses a number that is not positive and finite, by the option's name. */
export function checkPositive(options: object, names: readonly string[]): void {
  for (const name of names) {
    const value = (options as Readonly<Record<string, unknown>>)[name];
    if (value !== undefined && !(typeof value === "number" && value > 0 && Number.isFinite(value)))
      throw configuratorError(
        "CONFIGURATOR_OPTION_INVALID",
        `${name} is ${String(value)}; it must be a positive number`,
        { option: name, value },
      );
  }
}

/** @throws ConfiguratorError `CONFIGURATOR_OPTION_INVALID` for lengths that make no sense or that the model was not made for. */
export function checkWorkload(workload: WorkloadOptions, model: ModelSpec): void {
  checkPositive(workload, ["inputTokens", "outputTokens"]);
  const { inputTokens, outputTokens, prefixTokens = 0 } = workload;
  if (!Number.isInteger(inputTokens) || !Number.isInteger(outputTokens) || !Number.isInteger(prefixTokens))
    throw configuratorError(
      "CONFIGURATOR_OPTION_INVALID",
      `inputTokens, outputTokens and prefixTokens must be whole numbers; got ${inputTokens}, ${outputTokens}, ${prefixTokens}`,
    );
  if (workload.arrival !== undefined && !["closed", "poisson", "burst"].includes(workload.arrival))
    throw configuratorError(
      "CONFIGURATOR_OPTION_INVALID",
      `arrival is "${workload.arrival}"; use closed, poisson or burst`,
      { option: "arrival" },
    );
  if (prefixTokens < 0 || prefixTokens >= inputTokens)
    throw configuratorError(
      "CONFIGURATOR_OPTION_INVALID",
      `prefixTokens is ${prefixTokens}; it must be at least 0 and below inputTokens (${inputTokens})`,
      { option: "prefixTokens" },
    );
  if (inputTokens + outputTokens > model.contextTokens)
    throw configuratorError(
      "CONFIGURATOR_OPTION_INVALID",
      `inputTokens + outputTokens is ${inputTokens + outputTokens}, but ${model.name} was made for ${model.contextTokens} tokens; shorten one of them`,
      { option: "inputTokens", contextTokens: model.contextTokens },
    );
}
