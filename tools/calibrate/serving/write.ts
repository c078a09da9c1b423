// Writes fitted terms into the packages that ship them.
import { readFileSync, writeFileSync } from "node:fs";
import { backendNames } from "@stator/simulator/performance-model";
import type { Generation } from "@stator/simulator/performance-model";
import { arrivalGeneration, arrivalNames } from "./fit-arrivals.ts";
import type { Fit, Fitter } from "./score.ts";
import { generations } from "./step-terms.ts";

const packages = new URL("../../../packages/", import.meta.url).pathname;
const model = `${packages}simulator/src/performance-model/`;

const round = (value: number): number => Number(value.toPrecision(3));

export function writeTerms({ forms, terms }: Fitter, fit: Fit): void {
  const stamp = `// Written by tools/calibrate/fit-serving.ts from ${forms.length} measured deployments; do not edit.\n`;
  for (const architecture of ["hopper", "blackwell"]) writeScale(architecture, terms.terms.keys(), fit);
  const table = (value: (backend: string, generation: Generation) => string): string =>
    `{ ${backendNames
      .map(
        (backend) =>
          `${backend}: { ${generations.map(([generation]) => `${generation}: ${value(backend, generation)}`).join(", ")} }`,
      )
      .join(",\n")} }`;
  const record = (names: readonly string[], value: (name: string) => number): string =>
    `{ ${names.map((name) => `${name}: ${round(value(name))}`).join(", ")} }`;
  const steps = (names: readonly string[]): string =>
    table((backend, generation) => record(names, (name) => fit.steps(`${backend} ${generation}|${name}`)));
  const first = (mode: string): string =>
    table((backend, generation) =>
      record(arrivalNames, (name) =>
        fit.arrivals(`${mode} ${backend} ${arrivalGeneration(generation)}|${name}`),
      ),
    );
  writeFileSync(
    `${model}engines/fitted-backend-terms.ts`,
    `import type { BackendName, BackendTerms } from "./backend-terms.ts";
import type { Generation } from "../systems/coefficients-for.ts";

${stamp}export const fittedBackendTerms: Readonly<Record<BackendName, Readonly<Record<Generation, BackendTerms>>>> =
${steps(["stepUs", "perSequenceUs", "launchLayerUs", "decodeLayerUs", "workScale", "floorScale"])};
`,
  );
  writeFileSync(
    `${packages}configurator/src/serving/fitted-serving-terms.ts`,
    `import type { ServingTerms } from "./serving-terms.ts";

${stamp}export const fittedServingTerms: ServingTerms = {
scheduling: ${steps(["prefillInterference", "dataStall"])},
aggregated: ${first("agg")},
disaggregated: ${first("disagg")} };
`,
  );
}

function writeScale(architecture: string, terms: Iterable<string>, fit: Fit): void {
  const path = `${model}systems/coefficients-${architecture}.ts`;
  const scale: Record<string, number> = {};
  for (const name of terms)
    if (name.startsWith(`${architecture}#`))
      scale[name.slice(architecture.length + 1)] = round(fit.steps(name));
  // No fitted deployment used MXFP4: its kernels are those of NVFP4 where FP4 tensor cores exist, of 4-bit integers elsewhere.
  const like = architecture === "hopper" ? "w4a16" : "nvfp4";
  for (const kind of ["experts", "matrix", "floor:experts", "floor:matrix"]) {
    const factor = scale[`${kind}:${like}`];
    if (factor !== undefined) scale[`${kind}:mxfp4`] = factor;
  }
  writeFileSync(
    path,
    readFileSync(path, "utf8").replace(/scale: \{[^}]*\}/, `scale: ${JSON.stringify(scale)}`),
  );
}
