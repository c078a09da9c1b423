// Which terms a step's time has, what each is expected to be, and how far engines and generations may differ. Spreads are
// standard deviations of logarithms, chosen by leaving one model out at a time.
import { backendNames } from "@stator/simulator/performance-model";
import { createHierarchy } from "./hierarchy.ts";
import type { Hierarchy } from "./hierarchy.ts";
import { linearForm } from "./linear-form.ts";
import type { LinearForm } from "./linear-form.ts";
import type { Parts, Sample } from "./samples.ts";

/** Generations and what each is a variant of. */
export const generations = [
  ["hopper", "hopper"],
  ["blackwell", "blackwell"],
  ["blackwellUltra", "blackwell"],
] as const;

/** Prior value of each engine term, and its spread over all engines, between engines, and between one engine's generations. */
const engineTerms = [
  { name: "stepUs", value: 700, common: 0.7, engine: 0.5, generation: 0.16, ultra: 0.4 },
  { name: "perSequenceUs", value: 10, common: 0.7, engine: 0.5, generation: 0.2, ultra: 0.5 },
  { name: "prefillLayerUs", value: 25, common: 0.5, engine: 0.3, generation: 0.12, ultra: 0.3 },
  { name: "decodeLayerUs", value: 3, common: 0.3, engine: 0.3, generation: 0.08, ultra: 0.2 },
  { name: "floorScale", value: 0.8, common: 0.2, engine: 0.15, generation: 0.04, ultra: 0.1 },
  { name: "workScale", value: 1, common: 0.006, engine: 0.03, generation: 0.012, ultra: 0.03 },
  { name: "prefillInterference", value: 1, common: 0.1, engine: 0.15, generation: 0.08, ultra: 0.2 },
  { name: "dataStall", value: 0.3, common: 0.2, engine: 0.2, generation: 0.04, ultra: 0.1 },
] as const;

// Kernel factors hardly move on Hopper, whose tables the curves were fitted to. The tables' latent attention is not the
// kernel that engines run in a graph for few sequences.
function kernelLevel(key: string): [name: string, spread: number, value?: number] {
  if (key === "floor:latent") return [key, 0.4, 0.7];
  return [key, key.startsWith("floor") ? 0.1 : 0.12];
}

export function stepHierarchy(samples: readonly Sample[]): Hierarchy {
  const { add, done } = createHierarchy();
  for (const backend of backendNames)
    for (const [generation, architecture] of generations)
      for (const term of engineTerms) {
        const { name } = term;
        const path: [string, number, number?][] = [
          [name, term.common, term.value],
          [`${backend}|${name}`, term.engine],
          [`${backend} ${architecture}|${name}`, term.generation],
        ];
        if (generation !== architecture) path.push([`${backend} ${generation}|${name}`, term.ultra]);
        add(`${backend} ${generation}|${name}`, path);
      }
  for (const { architecture, mixed, first } of samples)
    for (const [key] of [...mixed, ...first])
      add(`${architecture}#${key}`, [
        kernelLevel(key),
        [`${architecture}#${key}`, architecture === "hopper" ? 0.04 : 0.15],
      ]);
  return done();
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
    [layers * 1e-3, term(hasPrefill ? "prefillLayerUs" : "decodeLayerUs")],
    ...parts.map(([key, ms]): [number, number, number] => [
      ms,
      indexOf(`${architecture}#${key}`),
      term(key.startsWith("floor") ? "floorScale" : "workScale"),
    ]),
  ]);
}
