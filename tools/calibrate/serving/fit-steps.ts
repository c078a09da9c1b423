// Time per output token of measured deployments as sums of terms, and the terms that explain them best.
import { termValues } from "./hierarchy.ts";
import type { Hierarchy } from "./hierarchy.ts";
import { addGradient, valueOf } from "./linear-form.ts";
import type { LinearForm } from "./linear-form.ts";
import type { Sample } from "./samples.ts";
import { solve } from "./solve.ts";
import type { Residual } from "./solve.ts";
import { stepForm } from "./step-terms.ts";

/** A sample with its steps as sums of terms. */
export interface FormedSample {
  readonly sample: Sample;
  readonly decode: LinearForm;
  readonly mixed: LinearForm;
  readonly first: LinearForm;
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
    mixed: stepForm(sample.mixed, sample, h, rows + sample.together, true),
    first: stepForm(sample.first, sample, h, sample.spec.mode === "agg" ? rows : 1, true),
    interference: term("prefillInterference"),
    dataStall: term("dataStall"),
  };
}

/** Milliseconds per output token. */
export function tpot(
  { sample, decode, mixed, interference, dataStall }: FormedSample,
  terms: Float64Array,
): number {
  const step = valueOf(decode, terms);
  if (sample.spec.mode === "disagg") return step;
  const { pipeline, data } = sample.worker.parallelism;
  const share = (sample.running - 1) / pipeline / sample.row.outputTokens / sample.together;
  return (
    step +
    share * Math.max(0, valueOf(mixed, terms) - step) * data ** terms[dataStall]! * terms[interference]!
  );
}

export function tpotResidual(form: FormedSample): Residual {
  const { sample, decode, mixed, interference, dataStall } = form;
  const { pipeline, data } = sample.worker.parallelism;
  const share = (sample.running - 1) / pipeline / sample.row.outputTokens / sample.together;
  return (terms, gradient) => {
    const value = tpot(form, terms);
    if (gradient) {
      if (sample.spec.mode === "disagg") addGradient(decode, terms, 1 / value, gradient);
      else {
        const k = share * data ** terms[dataStall]! * terms[interference]!;
        const stall = value - valueOf(decode, terms);
        addGradient(decode, terms, (stall > 0 ? 1 - k : 1) / value, gradient);
        if (stall > 0) addGradient(mixed, terms, k / value, gradient);
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
