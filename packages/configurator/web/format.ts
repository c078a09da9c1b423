/** Milliseconds for people: `8.4 ms`, `412 ms`, `1.9 s`. */
export function time(ms: number): string {
  if (ms >= 10_000) return `${(ms / 1000).toFixed(0)} s`;
  if (ms >= 1000) return `${(ms / 1000).toFixed(1)} s`;
  return `${ms.toFixed(ms < 10 ? 2 : ms < 100 ? 1 : 0)} ms`;
}

export function count(value: number): string {
  if (Number.isInteger(value) && value < 10_000) return String(value);
  return value >= 10_000
    ? `${(value / 1000).toFixed(value >= 100_000 ? 0 : 1)}k`
    : value >= 100
      ? value.toFixed(0)
      : value.toFixed(1);
}

export function gib(bytes: number): string {
  const value = bytes / 2 ** 30;
  return `${value.toFixed(value < 10 ? 1 : 0)} GiB`;
}

/** Round steps for an axis of about `wanted` labels. */
export function ticks(max: number, wanted: number): number[] {
  const rough = max / wanted;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step =
    [1, 2, 2.5, 5, 10].map((factor) => factor * power).find((candidate) => candidate >= rough) ?? rough;
  return Array.from({ length: Math.floor(max / step) + 1 }, (_, index) => index * step);
}
