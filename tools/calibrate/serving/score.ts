// Fits on some rows, scores on others.
import { errors } from "../minimize.ts";
import { arrivalHierarchy, arrivalOf, fitArrivals, ttft } from "./fit-arrivals.ts";
import { fitSteps, formed, tpot } from "./fit-steps.ts";
import type { FormedSample } from "./fit-steps.ts";
import type { Hierarchy } from "./hierarchy.ts";
import type { Sample } from "./samples.ts";
import { stepHierarchy } from "./step-terms.ts";

/** Fitted values by term. */
export interface Fit {
  readonly steps: (term: string) => number;
  readonly arrivals: (term: string) => number;
  readonly tpotMs: (form: FormedSample) => number;
  readonly ttftMs: (form: FormedSample) => number;
}

export interface Fitter {
  readonly forms: readonly FormedSample[];
  readonly terms: Hierarchy;
  readonly fit: (train: readonly FormedSample[]) => Fit;
}

export function createFitter(samples: readonly Sample[]): Fitter {
  const stepTerms = stepHierarchy(samples);
  const arrivalTerms = arrivalHierarchy();
  return {
    forms: samples.map((sample) => formed(sample, stepTerms)),
    terms: stepTerms,
    fit: (train) => {
      const steps = fitSteps(train, stepTerms);
      const arrivals = fitArrivals(
        train.map((form) => arrivalOf(form, steps)),
        arrivalTerms,
      );
      return {
        steps: (term) => steps[stepTerms.indexOf(term)]!,
        arrivals: (term) => arrivals[arrivalTerms.indexOf(term)]!,
        tpotMs: (form) => tpot(form, steps),
        ttftMs: (form) => ttft(arrivalOf(form, steps), arrivalTerms, arrivals),
      };
    },
  };
}

export interface Score {
  readonly rows: number;
  readonly tpotMape: number;
  readonly tpotMedian: number;
  readonly ttftMape: number;
  readonly ttftMedian: number;
}

export function scoreOf(rows: readonly FormedSample[], fit: Fit): Score {
  const round = (value: number): number => Number(value.toFixed(1));
  const tpotErrors = errors(rows.map((form) => [fit.tpotMs(form), form.sample.row.tpotMs]));
  const ttftErrors = errors(rows.map((form) => [fit.ttftMs(form), form.sample.row.ttftMs]));
  return {
    rows: rows.length,
    tpotMape: round(tpotErrors.mape),
    tpotMedian: round(tpotErrors.median),
    ttftMape: round(ttftErrors.mape),
    ttftMedian: round(ttftErrors.median),
  };
}
