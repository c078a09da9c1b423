// Which terms a step's time has, what each is expected to be, and how far engines and generations may differ. Spreads are
// standard deviations of logarithms, chosen by leaving one model out at a time.
import { backendNames } from "@stator/simulator/performance-model";
import { createHierarchy } from "./hierarchy.ts";
import type { Hierarchy } from "./hierarchy.ts";
import { addGradient, linearForm, valueOf } from "./linear-form.ts";
import type { LinearForm } from "./linear-form.ts";
import type { Parts, Sample } from "./samples.ts";

/** Generations and what each is a variant of. */
export const generations = [
  ["hopper", "hopper"],
  ["blackwell", "blackwell"],
  ["blackwellUltra", "blackwell"],
  ["blackwellEarly", "blackwell"],
] as const;

// TensorRT-LLM launches a step with prompts operation by operation from Python; the others compile their layers. On eight
// GPUs its prompts of 1,024 tokens take 0.45 ms a layer, whatever the model's width.
const engineStart: Readonly<Record<string, number>> = { "trtllm|launchLayerUs": 4 };

/** Prior value of each engine term, and its spread over all engines, between engines, and between one engine's generations. */
const engineTerms = [
  { name: "stepUs", value: 700, common: 0.7, engine: 0.5, generation: 0.16, ultra: 0.4 },
  { name: "perSequenceUs", value: 10, common: 0.7, engine: 0.5, generation: 0.2, ultra: 0.5 },
  { name: "launchLayerUs", value: 100, common: 0.5, engine: 0.5, generation: 0.12, ultra: 0.3 },
  { name: "decodeLayerUs", value: 3, common: 0.3, engine: 0.3, generation: 0.08, ultra: 0.2 },
  { name: "floorScale", value: 0.8, common: 0.2, engine: 0.15, generation: 0.04, ultra: 0.1 },
  { name: "workScale", value: 1, common: 0.006, engine: 0.03, generation: 0.012, ultra: 0.03 },
  { name: "prefillInterference", value: 1, common: 0.1, engine: 0.15, generation: 0.08, ultra: 0.2 },
  { name: "dataStall", value: 0.3, common: 0.2, engine: 0.2, generation: 0.04, ultra: 0.1 },
] as const;

// Kernel factors hardly move on Hopper, whose tables the curves were fitted to. The tables' latent attention is not the
// kernel that engines run in a graph for few sequences.
function kernelLevels(key: string): [name: string, spread: number, value?: number][] {
  if (key === "floor:latent") return [[key, 0.4, 0.7]];
  if (!key.startsWith("floor")) return [[key, 0.12]];
  const family = key.split(":").slice(0, 2).join(":");
  const levels: [string, number][] = [[family, 0.1]];
  if (key !== family) levels.push([key, 0.2]);
  return levels;
}

export function stepHierarchy(samples: readonly Sample[]): Hierarchy {
  const { add, done } = createHierarchy();
  for (const backend of backendNames)
    for (const [generation, architecture] of generations)
      for (const term of engineTerms) {
        const { name } = term;
        const path: [string, number, number?][] = [
          [name, term.common, term.value],
          [`${backend}|${name}`, term.engine, engineStart[`${backend}|${name}`]],
          [`${backend} ${architecture}|${name}`, term.generation],
        ];
        if (generation !== architecture) path.push([`${backend} ${generation}|${name}`, term.ultra]);
        add(`${backend} ${generation}|${name}`, path);
      }
  for (const { architecture, mixed, first } of samples)
    for (const [key] of [...mixed, ...first])
      add(`${architecture}#${key}`, [
        ...kernelLevels(key),
        [`${architecture}#${key}`, architecture === "hopper" ? 0.04 : 0.15],
      ]);
  return done();
}

/** As in `stepTime`: how sharply a step goes from bound by the GPU to bound by launches. */
const launchOverlap = 4;

/** A step with prompts is launched kernel by kernel: the GPU waits for the host where its own work is short. */
export interface PromptStep {
  readonly gpu: LinearForm;
  readonly host: LinearForm;
}

export function promptStep(parts: Parts, sample: Sample, h: Hierarchy, rows: number): PromptStep {
  const term = h.indexOf(`${sample.engine} ${sample.generation}|launchLayerUs`);
  return { gpu: stepForm(parts, sample, h, rows, true), host: linearForm([[sample.layers * 1e-3, term]]) };
}

export function promptStepMs({ gpu, host }: PromptStep, terms: Float64Array): number {
  return (
    (valueOf(gpu, terms) ** launchOverlap + valueOf(host, terms) ** launchOverlap) ** (1 / launchOverlap)
  );
}
export function addPromptGradient(
  { gpu, host }: PromptStep,
  terms: Float64Array,
  scale: number,
  gradient: Float64Array,
): void {
  const g = valueOf(gpu, terms);
  const h = valueOf(host, terms);
  const all = (g ** launchOverlap + h ** launchOverlap) ** (1 / launchOverlap);
  addGradient(gpu, terms, scale * (g / all) ** (launchOverlap - 1), gradient);
  addGradient(host, terms, scale * (h / all) ** (launchOverlap - 1), gradient);
}
/** A step's time as a sum of products of terms. */
export function stepForm(
  parts: Parts,
  { engine, architecture, generation, layers }: Sample,
  { indexOf }: Hierarchy,
  rows: number,
  hasPrefill: boolean,
): LinearForm {
  const term = (name: string): number => indexOf(`${engine} ${generation}|${name}`);
  return linearForm([
    [1e-3, term("stepUs")],
    [rows * 1e-3, term("perSequenceUs")],
    ...(hasPrefill ? [] : [[layers * 1e-3, term("decodeLayerUs")] as [number, number]]),
    ...parts.map(([key, ms]): [number, number, number] => [
      ms,
      indexOf(`${architecture}#${key}`),
      term(key.startsWith("floor") ? "floorScale" : "workScale"),
    ]),
  ]);
}
