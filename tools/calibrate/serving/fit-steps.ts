// Time per output token of measured deployments as sums of terms, and the terms that explain them best.
import { burstStall, defaultStepTokens } from "../../../packages/configurator/src/serving/predict.ts";
import { termValues } from "./hierarchy.ts";
import type { Hierarchy } from "./hierarchy.ts";
import { addGradient, valueOf } from "./linear-form.ts";
import type { LinearForm } from "./linear-form.ts";
import type { Sample } from "./samples.ts";
import { solve } from "./solve.ts";
import type { Residual } from "./solve.ts";
import { addPromptGradient, promptStep, promptStepMs, stepForm } from "./step-terms.ts";
import type { PromptStep } from "./step-terms.ts";

/** A sample with its steps as sums of terms. */
export interface FormedSample {
  readonly sample: Sample;
  readonly decode: LinearForm;
  readonly mixed: PromptStep;
  readonly first: PromptStep;
  readonly full: PromptStep;
  readonly interference: number;
  readonly dataStall: number;
}

export function formed(sample: Sample, h: Hierarchy): FormedSample {
  const { pipeline } = sample.worker.parallelism;
  const rows = sample.running / pipeline;
  const term = (name: string): number => h.indexOf(`${sample.engine} ${sample.generation}|${name}`);
  return {
    sample,
    decode: stepForm(sample.decode, sample, h, rows, false),
    mixed: promptStep(sample.mixed, sample, h, rows + sample.together),
    first: promptStep(sample.first, sample, h, sample.spec.mode === "agg" ? rows : 1),
    full: promptStep(
      sample.full,
      sample,
      h,
      sample.spec.mode === "agg" ? rows + sample.fullPrompts : sample.fullPrompts,
    ),
    interference: term("prefillInterference"),
    dataStall: term("dataStall"),
  };
}

/** Prefills of others that one output token waits for. Those during one's own prefill are part of the first token's time. */
function shareOf(sample: Sample): number {
  const { running, together, row, worker } = sample;
  const sum = (parts: Sample["decode"]): number => parts.reduce((ms, [, part]) => ms + part, 0);
  const step = sum(sample.decode) + 1;
  const own = sum(sample.first) * Math.max(1, row.inputTokens / defaultStepTokens);
  const all = (running - 1) / worker.parallelism.pipeline / together;
  const others = row.arrival === "burst" ? all * burstStall : all;
  const generate = row.outputTokens * step + others * Math.max(0, sum(sample.mixed) - step);
  const apart = generate / (generate + own);
  return (others / row.outputTokens) * apart;
}

/** Milliseconds per output token. */
export function tpot(
  { sample, decode, mixed, interference, dataStall }: FormedSample,
  terms: Float64Array,
): number {
  const step = valueOf(decode, terms);
  if (sample.spec.mode === "disagg") return step;
  const { data } = sample.worker.parallelism;
  const share = shareOf(sample);
  return (
    step +
    share * Math.max(0, promptStepMs(mixed, terms) - step) * data ** terms[dataStall]! * terms[interference]!
  );
}

export function tpotResidual(form: FormedSample): Residual {
  const { sample, decode, mixed, interference, dataStall } = form;
  const { data } = sample.worker.parallelism;
  const share = shareOf(sample);
  return (terms, gradient) => {
    const value = tpot(form, terms);
    if (gradient) {
      if (sample.spec.mode === "disagg") addGradient(decode, terms, 1 / value, gradient);
      else {
        const k = share * data ** terms[dataStall]! * terms[interference]!;
        const stall = value - valueOf(decode, terms);
        addGradient(decode, terms, (stall > 0 ? 1 - k : 1) / value, gradient);
        if (stall > 0) addPromptGradient(mixed, terms, k / value, gradient);
        gradient[interference] = gradient[interference]! + stall / value;
        gradient[dataStall] = gradient[dataStall]! + (stall * Math.log(data) * terms[dataStall]!) / value;
      }
    }
    return Math.log(value / sample.row.tpotMs);
  };
}

export function fitSteps(train: readonly FormedSample[], hierarchy: Hierarchy): Float64Array {
  const levels = solve({
    hierarchy,
    residuals: train.map(tpotResidual),
    weights: train.map(({ sample }) => sample.weight),
    cutoff: 0.2,
    noise: 0.1,
  });
  return termValues(hierarchy, levels);
}
