import type { Sample } from "./instruments/family.ts";
import type { MeterCore } from "./instruments/meter-core.ts";
import { type PromRegistry, registerSource } from "./instruments/prom-metric.ts";
import { type Alias, nameMap } from "./name-map.ts";

/**
 * Whose names are served besides ours: `dynamo` for NVIDIA Dynamo's dashboards and planner queries, `gie` for the
 * endpoint picker of the Kubernetes Gateway API inference extension.
 */
export type Compat = "dynamo" | "gie";

/** Serves the same figures a second time under the names of others. Costs nothing until a scrape. */
export function registerCompat(
  core: MeterCore,
  registry: PromRegistry,
  prefix: string,
  compat: readonly Compat[],
): void {
  for (const mapping of nameMap) {
    for (const system of new Set(compat)) {
      const alias = mapping[system];
      const family = core.family(`${prefix}_${mapping.stator}`);
      if (alias === undefined || family === undefined) continue;
      const rename = renamer(`${prefix}_${mapping.stator}`, alias);
      registerSource(registry, {
        name: alias.name,
        help: `${family.help} Same as ${family.name}.`,
        type: family.type,
        labelNames: Object.values(alias.labels),
        samples: () =>
          family.type === "gauge" || family.type === "counter"
            ? summed(family.samples().map(rename))
            : family.samples().map(rename),
      });
    }
  }
}

/** Labels objects of samples are kept for the life of a series, so their translation is too. */
function renamer(name: string, alias: Alias): (sample: Sample) => Sample {
  const translated = new WeakMap<object, Record<string, string>>();
  return (sample) => {
    let sharedLabels = translated.get(sample.sharedLabels);
    if (sharedLabels === undefined) {
      sharedLabels = {};
      for (const [ours, theirs] of Object.entries(alias.labels)) {
        const value = sample.sharedLabels[ours] ?? "";
        sharedLabels[theirs] = alias.values?.[theirs]?.[value] ?? value;
      }
      translated.set(sample.sharedLabels, sharedLabels);
    }
    return {
      labels: sample.labels,
      sharedLabels,
      value: sample.value,
      ...(sample.metricName === undefined ? {} : { metricName: sample.metricName.replace(name, alias.name) }),
    };
  };
}

/** Series that differ only in labels which the other system does not have are one series there. */
function summed(samples: readonly Sample[]): Sample[] {
  const byLabels = new Map<string, Sample>();
  for (const sample of samples) {
    const key = JSON.stringify(sample.sharedLabels);
    const same = byLabels.get(key);
    if (same === undefined) byLabels.set(key, sample);
    else same.value += sample.value;
  }
  return [...byLabels.values()];
}
