/** Samples of a Prometheus text exposition by `name{labels}`, labels sorted by name. */
export function parseExposition(text: string): Map<string, number> {
  const series = new Map<string, number>();
  for (const line of text.split("\n")) {
    if (line === "" || line.startsWith("#")) continue;
    const match = /^([A-Za-z_:][\w:]*)(?:\{(.*)\})? (\S+)$/.exec(line);
    if (match === null) throw new Error(`Not an exposition line: ${line}`);
    const labels = [...(match[2] ?? "").matchAll(/([A-Za-z_]\w*)="((?:[^"\\]|\\.)*)"/g)].map((m) => m[0]).sort();
    const key = labels.length === 0 ? (match[1] as string) : `${match[1]}{${labels.join(",")}}`;
    series.set(key, Number(match[3] === "+Inf" ? "Infinity" : match[3]));
  }
  return series;
}
