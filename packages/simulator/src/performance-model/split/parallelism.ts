import type { ModelSpec } from "../models/model-spec.ts";
import { hasExperts } from "../models/model-spec.ts";
import { simulatorError } from "../../simulator-error.ts";

/**
 * How one worker splits a model. Its GPUs are `tensor · pipeline · data`; experts are split over the same
 * `tensor · data` GPUs, so `tensor · data = expertTensor · expert`.
 */
export interface Parallelism {
  /** Tensor parallelism of attention and dense blocks. */
  readonly tensor: number;
  readonly pipeline: number;
  /** Attention data parallelism: replicas of attention inside one worker, each with sequences of its own. */
  readonly data: number;
  /** Tensor parallelism inside each routed expert. */
  readonly expertTensor: number;
  /** Expert parallelism: groups of whole experts. */
  readonly expert: number;
}

/** Fills in what is left out: no pipeline, no attention data parallelism, experts split by tensor unless `expert` is given. */
export function parallelism(options: Partial<Parallelism> = {}): Parallelism {
  const tensor = options.tensor ?? 1;
  const data = options.data ?? 1;
  const expert =
    options.expert ??
    (options.expertTensor === undefined ? 1 : Math.max(1, (tensor * data) / options.expertTensor));
  return {
    tensor,
    pipeline: options.pipeline ?? 1,
    data,
    expert,
    expertTensor: options.expertTensor ?? Math.max(1, (tensor * data) / expert),
  };
}

/** GPUs of one worker. */
export function gpusOf(split: Parallelism): number {
  return split.tensor * split.pipeline * split.data;
}

/** Why this split cannot run this model, in words; empty when it can. */
export function parallelismProblems(split: Parallelism, model: ModelSpec): string[] {
  const problems: string[] = [];
  for (const [name, value] of Object.entries(split) as [string, number][])
    if (!Number.isInteger(value) || value < 1)
      problems.push(`${name} is ${value}; it must be a positive integer`);
  if (problems.length > 0) return problems;
  if (hasExperts(model) && split.tensor * split.data !== split.expertTensor * split.expert)
    problems.push(
      `tensor ${split.tensor} × data ${split.data} must equal expertTensor ${split.expertTensor} × expert ${split.expert}`,
    );
  for (const { attention, feedForward } of model.layers) {
    const heads =
      attention.kind === "none" ? 0 : attention.kind === "linear" ? attention.valueHeads : attention.heads;
    if (heads % split.tensor !== 0)
      problems.push(`${heads} attention heads do not divide by tensor ${split.tensor}`);
    if (feedForward.kind === "experts") {
      if (feedForward.experts % split.expert !== 0)
        problems.push(`${feedForward.experts} experts do not divide by expert ${split.expert}`);
      if (feedForward.intermediate % split.expertTensor !== 0)
        problems.push(
          `expert width ${feedForward.intermediate} does not divide by expertTensor ${split.expertTensor}`,
        );
    } else if (feedForward.kind === "dense" && feedForward.intermediate % split.tensor !== 0)
      problems.push(
        `feed-forward width ${feedForward.intermediate} does not divide by tensor ${split.tensor}`,
      );
  }
  return [...new Set(problems)];
}

/** @throws SimulatorError `SIMULATOR_PARALLELISM_INVALID` when this split cannot run this model. */
export function checkParallelism(split: Parallelism, model: ModelSpec): void {
  const problems = parallelismProblems(split, model);
  if (problems.length > 0)
    throw simulatorError(
      "SIMULATOR_PARALLELISM_INVALID",
      `${model.name} cannot be split so: ${problems.join("; ")}`,
      { problems },
    );
}

/** Short label such as `TP4`, `TP2·PP2` or `DP8·EP8`. */
export function parallelismLabel(split: Parallelism): string {
  const parts: string[] = [];
  if (split.tensor > 1 || split.data === 1) parts.push(`TP${split.tensor}`);
  if (split.pipeline > 1) parts.push(`PP${split.pipeline}`);
  if (split.data > 1) parts.push(`DP${split.data}`);
  if (split.expert > 1) parts.push(`EP${split.expert}`);
  return parts.join("·");
}
