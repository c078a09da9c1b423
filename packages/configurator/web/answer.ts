import { estimate, filesOf, resolveTarget, search } from "../src/index.ts";
import type {
  Candidate,
  Estimate,
  GeneratedFile,
  SearchResult,
  Target,
  WorkloadOptions,
} from "../src/index.ts";
import { systemFromYaml } from "@stator/simulator/performance-model";
import type { HfConfig, SystemSpec } from "@stator/simulator/performance-model";
import type { Inputs } from "./inputs.ts";

export type Answer =
  | {
      readonly kind: "found";
      readonly result: SearchResult;
      readonly target: Target;
      readonly tookMs: number;
    }
  | { readonly kind: "refused"; readonly message: string };

interface Asked {
  readonly model: string | HfConfig;
  readonly system: string | SystemSpec;
  readonly backend: Inputs["backend"];
  readonly quantization: string;
}

function asked(inputs: Inputs): Asked {
  return {
    model: inputs.config.trim() === "" ? inputs.model : (JSON.parse(inputs.config) as HfConfig),
    system: inputs.record.trim() === "" ? inputs.system : systemFromYaml(inputs.record),
    backend: inputs.backend,
    quantization: inputs.quantization,
  };
}

const workloadOf = (inputs: Inputs): WorkloadOptions => ({
  inputTokens: inputs.isl,
  outputTokens: inputs.osl,
  prefixTokens: inputs.prefix,
  arrival: inputs.arrival,
});

/** Searches in the page; refusals come back as their message. */
export function answer(inputs: Inputs): Answer {
  const from = performance.now();
  try {
    const options = {
      ...asked(inputs),
      ...workloadOf(inputs),
      gpus: inputs.gpus,
      ttftMs: inputs.ttft,
      tpotMs: inputs.tpot,
      top: 12,
      confirm: 1,
    };
    return {
      kind: "found",
      result: search(options),
      target: resolveTarget(options),
      tookMs: performance.now() - from,
    };
  } catch (error) {
    return {
      kind: "refused",
      message:
        error instanceof SyntaxError
          ? `The pasted config.json is no JSON: ${error.message}`
          : error instanceof Error
            ? error.message
            : String(error),
    };
  }
}

/** Step times and memory of the worker kinds of a candidate, by role. */
export function accountsOf(
  candidate: Candidate,
  inputs: Inputs,
): readonly { readonly role: string; readonly estimate: Estimate }[] {
  return candidate.workers.map((group) => ({
    role: group.role,
    estimate: estimate({
      ...asked(inputs),
      ...workloadOf(inputs),
      parallelism: group.parallelism,
      batch: Math.max(1, group.batch),
    }),
  }));
}

export function downloads(candidate: Candidate, target: Target, inputs: Inputs): GeneratedFile[] {
  return filesOf(candidate, target, workloadOf(inputs), {
    limits: { ttftMs: inputs.ttft, tpotMs: inputs.tpot },
  });
}
