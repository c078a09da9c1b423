// Time to first token of measured deployments, given what their steps take.
import { backendNames } from "@stator/simulator/performance-model";
import type { Generation } from "@stator/simulator/performance-model";
import { closedLoopResponseMs } from "../../../packages/configurator/src/serving/queueing.ts";
import {
  defaultStepTokens,
  kvTransferMs,
  pollSteps,
} from "../../../packages/configurator/src/serving/predict.ts";
import { isEarlyBlackwellRelease } from "../../../packages/simulator/src/performance-model/engines/releases.ts";
import { createHierarchy, termValues } from "./hierarchy.ts";
import type { Hierarchy } from "./hierarchy.ts";
import { tpot } from "./fit-steps.ts";
import type { FormedSample } from "./fit-steps.ts";
import { addGradient, linearForm, valueOf } from "./linear-form.ts";
import type { LinearForm } from "./linear-form.ts";
import type { Sample } from "./samples.ts";
import { solve } from "./solve.ts";
import { generations, promptStepMs } from "./step-terms.ts";

/** What a request meets before its first token. */
export interface Arrival {
  readonly sample: Sample;
  readonly stepMs: number;
  readonly ownMs: number;
  readonly waitMs: number;
  readonly burstMs: number;
  /** KV transfer, and the queue of a burst: what has no fitted term. */
  readonly knownMs: number;
}

export function arrivalOf(form: FormedSample, terms: Float64Array): Arrival {
  const { sample } = form;
  const { spec, row, running } = sample;
  const stepMs = valueOf(form.decode, terms);
  const think = row.outputTokens * tpot(form, terms);
  const first = promptStepMs(form.first, terms);
  if (spec.mode === "agg") {
    const { pipeline, data } = sample.worker.parallelism;
    const ownMs = first * Math.max(1, row.inputTokens / defaultStepTokens);
    const alone =
      sample.fullPrompts > 1
        ? (promptStepMs(form.full, terms) - stepMs) / sample.fullPrompts
        : ownMs - stepMs;
    const service = (Math.max(0.1, alone) * data ** terms[form.dataStall]!) / pipeline;
    if (row.arrival === "burst")
      return {
        sample,
        stepMs,
        ownMs,
        waitMs: 0,
        burstMs: 0,
        knownMs: ((running - 1) / 2) * service,
      };
    return {
      sample,
      stepMs,
      ownMs,
      waitMs: closedLoopResponseMs(running, ownMs, service, think) - ownMs,
      burstMs: service * running,
      knownMs: 0,
    };
  }
  const { prefill, prefillWorkers, decodeWorkers } = spec.spec;
  const service =
    promptStepMs(form.full, terms) /
    sample.fullPrompts /
    prefill.parallelism.data /
    prefill.parallelism.pipeline /
    prefillWorkers;
  const transferMs = kvTransferMs(prefill, sample.worker, row.inputTokens);
  const clients = spec.spec.decodeBatch * sample.worker.parallelism.data * decodeWorkers;
  return {
    sample,
    stepMs,
    ownMs: first,
    waitMs: closedLoopResponseMs(clients, first + transferMs, service, think) - first - transferMs,
    burstMs: service * clients,
    knownMs: transferMs,
  };
}

export const arrivalNames = ["fixedMs", "steps", "prefill", "queue", "burst"] as const;

/** Prior value of each term, and its spread over all engines, between engines, and between one engine's generations. */
const priors = {
  fixedMs: { value: 80, common: 0.7, engine: 0.35, generation: 0.4 },
  steps: { value: 1, common: 1, engine: 0.35, generation: 0.09 },
  prefill: { value: 1.1, common: 0.2, engine: 0.15, generation: 0.1 },
  queue: { value: 0.2, common: 1, engine: 0.25, generation: 0.06 },
  burst: { value: 0.06, common: 0.5, engine: 0.2, generation: 0.06 },
};

export function arrivalHierarchy(): Hierarchy {
  const { add, done } = createHierarchy();
  for (const mode of ["agg", "disagg"])
    for (const backend of backendNames)
      for (const [generation] of generations)
        for (const name of arrivalNames) {
          const { value, common, engine, generation: spread } = priors[name];
          add(`${mode} ${backend} ${generation}|${name}`, [
            [`${mode}|${name}`, common, value],
            [`${mode} ${backend}|${name}`, engine],
            [`${mode} ${backend} ${generation}|${name}`, spread],
          ]);
        }
  return done();
}

/** Early releases had first tokens seconds later than any of their steps: they are no generation of their own here, and weigh little. */
const earlyWeight = 0.2;

/** Of the releases of 2025, whatever it runs on. */
function isEarly({ worker, engine }: Sample): boolean {
  const { engineVersion } = worker;
  return engineVersion !== undefined && isEarlyBlackwellRelease(engine, engineVersion);
}

export function arrivalGeneration(generation: Generation): Generation {
  return generation === "blackwellEarly" ? "blackwell" : generation;
}

function ttftForm(arrival: Arrival, h: Hierarchy): LinearForm {
  const { sample, stepMs, ownMs, waitMs, burstMs } = arrival;
  const values = [1, stepMs, ownMs, waitMs, burstMs];
  return linearForm(
    arrivalNames.map((name, at) => [
      values[at]!,
      h.indexOf(`${sample.spec.mode} ${sample.engine} ${arrivalGeneration(sample.generation)}|${name}`),
    ]),
  );
}

function constantMs({ sample, knownMs, stepMs }: Arrival): number {
  return knownMs + (sample.spec.mode === "agg" ? pollSteps(sample.worker, sample.running) * stepMs : 0);
}

/** Milliseconds to the first token. */
export function ttft(arrival: Arrival, hierarchy: Hierarchy, terms: Float64Array): number {
  return constantMs(arrival) + valueOf(ttftForm(arrival, hierarchy), terms);
}

export function fitArrivals(train: readonly Arrival[], hierarchy: Hierarchy): Float64Array {
  const levels = solve({
    hierarchy,
    residuals: train.map((arrival) => {
      const form = ttftForm(arrival, hierarchy);
      const constant = constantMs(arrival);
      return (terms, gradient) => {
        const value = constant + valueOf(form, terms);
        if (gradient) addGradient(form, terms, 1 / value, gradient);
        return Math.log(value / arrival.sample.row.ttftMs);
      };
    }),
    weights: train.map(({ sample }) => sample.weight * (isEarly(sample) ? earlyWeight : 1)),
    cutoff: 0.3,
    noise: 0.1,
  });
  return termValues(hierarchy, levels);
}
