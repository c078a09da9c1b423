/** One line of a Prometheus text exposition. */
export interface ExposedSample {
  readonly name: string;
  readonly labels: ReadonlyMap<string, string>;
  readonly value: number;
}

const line = /^([A-Za-z_:][\w:]*)(?:\{(.*)\})?[ \t]+(\S+)(?:[ \t]+-?\d+)?$/;
const label = /([A-Za-z_]\w*)="((?:[^"\\]|\\.)*)"/g;
const escapes: Readonly<Record<string, string>> = { n: "\n", '"': '"', "\\": "\\" };

/** The samples of a Prometheus text exposition, in order; lines that are none are skipped. */
export function parseExposition(text: string): ExposedSample[] {
  const samples: ExposedSample[] = [];
  for (const raw of text.split("\n")) {
    const match = raw.startsWith("#") ? null : line.exec(raw.trimEnd());
    if (match === null) continue;
    const [, name = "", inner = "", figure = ""] = match;
    const labels = new Map<string, string>();
    for (const [, key = "", value = ""] of inner.matchAll(label))
      labels.set(
        key,
        value.replace(/\\(.)/g, (_, c: string) => escapes[c] ?? c),
      );
    const value =
      figure === "+Inf"
        ? Number.POSITIVE_INFINITY
        : figure === "-Inf"
          ? Number.NEGATIVE_INFINITY
          : Number(figure);
    samples.push({ name, labels, value });
  }
  return samples;
}
