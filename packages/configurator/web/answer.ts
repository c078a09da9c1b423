import { estimate, filesOf, recommend, resolveTarget, search } from "../src/index.ts";
import type {
  Candidate,
  Estimate,
  EstimateOptions,
  GeneratedFile,
  Recommendation,
  SearchResult,
  Target,
  WorkloadOptions,
} from "../src/index.ts";
import { workerGroup } from "../src/search/candidate.ts";
import { parallelism, systemFromYaml } from "@stator/simulator/performance-model";
import type { HfConfig, SystemSpec } from "@stator/simulator/performance-model";
import type { Inputs } from "./inputs.ts";

export interface Refusal {
  readonly kind: "refused";
  readonly message: string;
}

export interface Found {
  readonly kind: "found";
  readonly result: SearchResult;
  readonly target: Target;
  /** Of the whole layout: asked for, or the fewest that serve the load. */
  readonly gpus: number;
  readonly recommendation: Recommendation | undefined;
  readonly tookMs: number;
}

export interface Estimated {
  readonly kind: "estimated";
  readonly estimate: Estimate;
  readonly candidate: Candidate;
  readonly target: Target;
}

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

const limitsOf = (inputs: Inputs): { ttftMs: number; tpotMs: number; requestMs?: number } => ({
  ttftMs: inputs.ttft,
  tpotMs: inputs.tpot,
  ...(inputs.request > 0 ? { requestMs: inputs.request * 1000 } : {}),
});

/** Searches in the page: the best layouts of the budget, or of the fewest GPUs that serve the load. */
export function findLayouts(inputs: Inputs): Found | Refusal {
  return refusing(() => {
    const from = performance.now();
    const options = { ...asked(inputs), ...workloadOf(inputs), ...limitsOf(inputs) };
    const recommendation =
      inputs.task === "recommend"
        ? recommend({
            ...options,
            ...(inputs.loadKind === "rate" ? { requestRate: inputs.load } : { concurrency: inputs.load }),
          })
        : undefined;
    const gpus = recommendation?.gpus ?? inputs.gpus;
    return {
      kind: "found",
      result: search({ ...options, gpus, top: 12, confirm: 1 }),
      target: resolveTarget(options),
      gpus,
      recommendation,
      tookMs: performance.now() - from,
    };
  });
}

/** What one layout does, and the same as a candidate, to be drawn, pinned and written as files. */
export function estimateLayout(inputs: Inputs): Estimated | Refusal {
  return refusing(() => {
    const own = parallelism({ tensor: inputs.tp, pipeline: inputs.pp, data: inputs.dp, expert: inputs.ep });
    const first = parallelism({ tensor: inputs.ptp, data: inputs.pdp, expert: inputs.pep });
    const options: EstimateOptions = {
      ...asked(inputs),
      ...workloadOf(inputs),
      mode: inputs.mode,
      parallelism: own,
      prefillParallelism: first,
      batch: inputs.batch,
      prefillWorkers: inputs.pworkers,
      decodeWorkers: inputs.workers,
    };
    const found = estimate(options);
    const isSplit = inputs.mode === "disagg";
    return {
      kind: "estimated",
      estimate: found,
      target: resolveTarget(options),
      candidate: {
        ...found,
        mode: isSplit ? "disagg" : "agg",
        workers: isSplit
          ? [
              workerGroup("prefill", inputs.pworkers, first, 1),
              workerGroup("decode", inputs.workers, own, inputs.batch),
            ]
          : [workerGroup("both", 1, own, inputs.batch)],
        gpusUsed: found.gpus,
        concurrency: inputs.batch * own.data * (isSplit ? inputs.workers : 1),
        transferMs: found.transferMs ?? 0,
      },
    };
  });
}

function refusing<Answer>(work: () => Answer): Answer | Refusal {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof Error)) return { kind: "refused", message: String(error) };
    const prefix = error instanceof SyntaxError ? "The pasted config.json is no JSON: " : "";
    return { kind: "refused", message: prefix + error.message };
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
  return filesOf(candidate, target, workloadOf(inputs), { limits: limitsOf(inputs) });
}
