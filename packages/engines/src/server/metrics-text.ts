/** One sample of a Prometheus exposition. */
export interface Sample {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** Samples by metric name. */
export type Exposition = ReadonlyMap<string, readonly Sample[]>;

/** Reads the Prometheus text format; lines that are none are skipped. */
export function parseMetricsText(text: string): Exposition {
  const metrics = new Map<string, Sample[]>();
  for (const line of text.split("\n")) {
    const match = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})?\s+(\S+)/.exec(line);
    if (match === null) continue;
    const [, name, labels, value] = match;
    const sample = {
      labels: labelsOf(labels ?? ""),
      value: Number(value!.replace("+Inf", "Infinity").replace("-Inf", "-Infinity")),
    };
    const list = metrics.get(name!);
    if (list === undefined) metrics.set(name!, [sample]);
    else list.push(sample);
  }
  return metrics;
}

/** Samples of the first of these names that there is: names drift between releases. */
export function samplesOf(metrics: Exposition, ...names: readonly string[]): readonly Sample[] {
  for (const name of names) {
    const found = metrics.get(name);
    if (found !== undefined) return found;
  }
  return [];
}

/** Sum over the samples of the first of these names; undefined when there is none. */
export function sumOf(metrics: Exposition, ...names: readonly string[]): number | undefined {
  const samples = samplesOf(metrics, ...names);
  return samples.length === 0 ? undefined : samples.reduce((sum, { value }) => sum + value, 0);
}

function labelsOf(text: string): Record<string, string> {
  const labels: Record<string, string> = {};
  for (const [, name, value] of text.matchAll(/([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)"/g)) {
    labels[name!] = value!.replaceAll(/\\(.)/g, (_, escaped: string) => (escaped === "n" ? "\n" : escaped));
  }
  return labels;
}
