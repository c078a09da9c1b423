import { invalid } from "../metrics-error.ts";

/** What a name is checked for: an instrument's kind decides its suffix. */
export type InstrumentKind = "counter" | "gauge" | "histogram";

/** Units that are not Prometheus base units, and the base unit to measure in instead. */
const baseUnits: Readonly<Record<string, string>> = {
  ns: "seconds",
  us: "seconds",
  ms: "seconds",
  sec: "seconds",
  secs: "seconds",
  second: "seconds",
  millis: "seconds",
  milliseconds: "seconds",
  microseconds: "seconds",
  nanoseconds: "seconds",
  minutes: "seconds",
  hours: "seconds",
  byte: "bytes",
  kb: "bytes",
  mb: "bytes",
  gb: "bytes",
  kib: "bytes",
  mib: "bytes",
  gib: "bytes",
  kilobytes: "bytes",
  megabytes: "bytes",
  bits: "bytes",
  percent: "ratio",
  percentage: "ratio",
  pct: "ratio",
  milliwatts: "watts",
  watt: "watts",
  mj: "joules",
  millijoules: "joules",
  joule: "joules",
  token: "tokens",
  request: "requests",
  block: "blocks",
};

/** Labels whose values have no bound, or that must not leave the process. */
const unboundedLabels = new Set([
  "request_id",
  "requestid",
  "trace_id",
  "span_id",
  "user_id",
  "session_id",
  "prompt",
  "text",
  "message",
  "token",
  "api_key",
  "authorization",
  "ip",
  "url",
  "timestamp",
]);

const reservedLabels = new Set(["le", "quantile", "job", "instance"]);

export interface MetricName {
  readonly prefix: string;
  readonly name: string;
  readonly unit: string | undefined;
  readonly labels: readonly string[];
  readonly kind: InstrumentKind;
}

/**
 * The exposed name: prefix, name, unit, and `_total` for counters.
 *
 * Rules: Prometheus, "Metric and label naming". Every refusal says the name to use instead.
 *
 * @throws MetricsError `METRICS_NAME_INVALID` or `METRICS_LABEL_INVALID`.
 */
export function exposedName(metric: MetricName): string {
  const { prefix, kind } = metric;
  const unit = checkedUnit(metric);
  const name = checkedName(metric, unit);
  checkLabels(metric);
  return [prefix, name, unit, kind === "counter" ? "total" : undefined]
    .filter((part) => part !== undefined && part !== "")
    .join("_");
}

function checkedUnit({ name, unit }: MetricName): string | undefined {
  if (unit === undefined || unit === "") return undefined;
  const base = baseUnits[unit.toLowerCase()];
  if (base !== undefined) {
    refuse(name, `its unit "${unit}" is not a base unit; measure in ${base} and say unit: "${base}"`);
  }
  const snake = snakeCase(unit);
  if (snake !== unit) refuse(name, `its unit is not snake case; say unit: "${snake}"`);
  return unit;
}

function checkedName(metric: MetricName, unit: string | undefined): string {
  const { prefix, name, kind } = metric;
  const right = suggestName(metric, unit);
  if (right !== name || !/^[a-z][a-z0-9_]*$/.test(name)) {
    const last = name.split("_").at(-1)?.toLowerCase() ?? "";
    const base = baseUnits[last];
    const why = base === undefined ? "" : ` and unit: "${base}" (base units only)`;
    const suffixes = [unit, kind === "counter" ? "total" : undefined].filter((part) => part !== undefined);
    const added = [
      prefix === "" ? undefined : `the prefix "${prefix}_"`,
      ...suffixes.map((part) => `the suffix "_${part}"`),
    ]
      .filter((part) => part !== undefined)
      .join(" and ");
    refuse(
      name,
      `use name: "${right}"${why}${added === "" ? "" : `; ${added} ${suffixes.length + (prefix === "" ? 0 : 1) > 1 ? "are" : "is"} added for you`}`,
    );
  }
  return name;
}

function suggestName({ name, prefix, labels, kind }: MetricName, unit: string | undefined): string {
  let right = snakeCase(name);
  if (prefix !== "" && right.startsWith(`${prefix}_`)) right = right.slice(prefix.length + 1);
  // `_total` at the end says counter; before the unit of a gauge it is a word like another.
  if (right.endsWith("_total") && (kind === "counter" || unit === undefined)) right = right.slice(0, -6);
  for (const label of labels) {
    if (right.endsWith(`_by_${label}`)) right = right.slice(0, -(label.length + 4));
  }
  if (unit !== undefined && right.endsWith(`_${unit}`)) right = right.slice(0, -(unit.length + 1));
  const parts = right.split("_");
  const last = parts.at(-1);
  if (
    parts.length > 1 &&
    last !== undefined &&
    last in baseUnits &&
    !["token", "request", "block"].includes(last)
  ) {
    right = parts.slice(0, -1).join("_");
  }
  return right === "" ? "value" : right;
}

function checkLabels({ name, labels }: MetricName): void {
  const seen = new Set<string>();
  for (const label of labels) {
    const snake = snakeCase(label);
    if (snake !== label || label.startsWith("__") || !/^[a-z_][a-z0-9_]*$/.test(label)) {
      throw invalid(
        "METRICS_LABEL_INVALID",
        `Label "${label}" of metric "${name}" is not snake case; use "${snake.replace(/^_+/, "")}".`,
      );
    }
    if (reservedLabels.has(label)) {
      throw invalid(
        "METRICS_LABEL_INVALID",
        `Label "${label}" of metric "${name}" belongs to Prometheus; use "${label === "le" ? "bound" : `source_${label}`}".`,
      );
    }
    if (unboundedLabels.has(label)) {
      throw invalid(
        "METRICS_LABEL_INVALID",
        `Label "${label}" of metric "${name}" has no bound on its values; leave it out and put it on a span or a log line.`,
      );
    }
    if (seen.has(label))
      throw invalid(
        "METRICS_LABEL_INVALID",
        `Label "${label}" of metric "${name}" is given twice; give it once.`,
      );
    seen.add(label);
  }
}

function snakeCase(text: string): string {
  return text
    .replace(/([a-z0-9])([A-Z])/g, "$1_$2")
    .replace(/([A-Z]+)([A-Z][a-z])/g, "$1_$2")
    .replace(/[^A-Za-z0-9]+/g, "_")
    .replace(/^_+|_+$/g, "")
    .toLowerCase();
}

function refuse(name: string, what: string): never {
  throw invalid("METRICS_NAME_INVALID", `Metric "${name}": ${what}.`);
}
