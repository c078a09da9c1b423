// Fits kernel factors, engine overheads and queueing terms to measured deployments
// (../shared/perf-data/measured_serving_train.csv), never reading a model's name. Terms are pooled over engines and GPU
// generations as far as leaving one model out says. `--cross-validate` prints and writes that; `--write` writes the terms.
import { writeFileSync } from "node:fs";
import { readSamples } from "./serving/samples.ts";
import type { FormedSample } from "./serving/fit-steps.ts";
import { createFitter, scoreOf } from "./serving/score.ts";
import type { Fit, Score } from "./serving/score.ts";
import { writeTerms } from "./serving/write.ts";

const fitter = createFitter(readSamples());
const { forms, fit } = fitter;

function print(label: string, { rows, tpotMape, tpotMedian, ttftMape, ttftMedian }: Score): void {
  console.log(
    label.padEnd(48),
    String(rows).padStart(5),
    `TPOT ${tpotMape} / ${tpotMedian}   TTFT ${ttftMape} / ${ttftMedian}`,
  );
}

function groups(key: (form: FormedSample) => string): [string, FormedSample[]][] {
  const found = new Map<string, FormedSample[]>();
  for (const form of forms) found.set(key(form), [...(found.get(key(form)) ?? []), form]);
  return [...found].sort(([a], [b]) => a.localeCompare(b));
}

const whole = fit(forms);
print("all rows, fitted (MAPE / median, %)", scoreOf(forms, whole));
for (const [key, rows] of groups(
  ({ sample: { row, engine, generation } }) =>
    `${row.mode} ${engine} ${generation} ${row.model.split("/").at(-1)}`,
))
  print(`  ${key}`, scoreOf(rows, whole));

/** Each form's prediction by a fit that saw no form of its group. */
function leftOut(key: (form: FormedSample) => string): Map<FormedSample, Fit> {
  const fits = new Map<FormedSample, Fit>();
  for (const [, rows] of groups(key)) {
    const without = fit(forms.filter((form) => !rows.includes(form)));
    for (const row of rows) fits.set(row, without);
  }
  return fits;
}

if (process.argv.includes("--cross-validate")) {
  const crossValidation: Record<string, Score> = {};
  const score = (name: string, fits: Map<FormedSample, Fit>, rows: readonly FormedSample[]): void => {
    crossValidation[name] = scoreOf(rows, {
      ...whole,
      tpotMs: (form) => fits.get(form)!.tpotMs(form),
      ttftMs: (form) => fits.get(form)!.ttftMs(form),
    });
    print(`held out: ${name}`, crossValidation[name]);
  };
  const shape = ({ sample }: FormedSample): string =>
    (sample.row.model.split("/").at(-1) ?? "").replace(/-(Instruct|FP8).*/, "");
  const byModel = leftOut(shape);
  for (const [name, rows] of groups(shape)) score(name, byModel, rows);
  score("all of them", byModel, forms);
  // Unseen deployments of seen models: every configuration is in one of five parts.
  const part = ({ sample: { row, worker } }: FormedSample): string => {
    const { backend, system, model, mode, denseFormat, expertFormat } = row;
    const name = [backend, system, model, mode, denseFormat, expertFormat, worker.parallelism];
    let hash = 7;
    for (const character of JSON.stringify(name)) hash = (hash * 31 + character.charCodeAt(0)) % 1000003;
    return String(hash % 5);
  };
  score("configurations, a fifth at a time", leftOut(part), forms);
  score(
    "systems, one at a time",
    leftOut(({ sample }) => sample.row.system),
    forms,
  );
  score(
    "engines, one at a time",
    leftOut(({ sample }) => sample.engine),
    forms,
  );
  writeFileSync(
    new URL("cross-validation.json", import.meta.url),
    `${JSON.stringify(crossValidation, undefined, 2)}\n`,
  );
}

if (process.argv.includes("--write")) writeTerms(fitter, whole);
