/** One line of a panel. */
export interface Query {
  /** PromQL. `$model` and `$__rate_interval` are filled in by Grafana. */
  readonly expr: string;
  /** Legend, with `{{label}}` placeholders. */
  readonly legend: string;
}

/** A panel, as the generator needs it; units are Grafana's (`s`, `percentunit`, `watt`, `bytes`, …). */
export interface Panel {
  readonly title: string;
  readonly kind: "timeseries" | "stat" | "heatmap";
  readonly unit: string;
  readonly queries: readonly Query[];
  readonly description: string;
  /** Of 24 columns. Default 8; stats 4. */
  readonly width?: number;
  /** For stats: values from which it turns orange, then red (or back, when descending). */
  readonly thresholds?: readonly [number, number];
  readonly isStacked?: boolean;
  /** Upper end of the axis. */
  readonly max?: number;
}

export interface Row {
  readonly title: string;
  readonly panels: readonly Panel[];
  /** Rows below the fold start collapsed. Default false. */
  readonly isCollapsed?: boolean;
}

type PanelOptions = Omit<Panel, "title" | "kind" | "unit" | "description" | "queries">;

/** A panel of lines over time. */
export function lines(
  title: string,
  unit: string,
  description: string,
  queries: readonly Query[],
  options: PanelOptions = {},
): Panel {
  return { title, kind: "timeseries", unit, description, queries, ...options };
}

/** One big figure. */
export function figure(
  title: string,
  unit: string,
  description: string,
  expr: string,
  options: PanelOptions = {},
): Panel {
  return { title, kind: "stat", unit, description, queries: [{ expr, legend: title }], width: 4, ...options };
}

/** Buckets of a histogram over time. */
export function heatmap(title: string, unit: string, description: string, expr: string): Panel {
  return { title, kind: "heatmap", unit, description, queries: [{ expr, legend: "{{le}}" }], width: 12 };
}

/** The 50th, 90th and 99th percentile of a histogram; `by` keeps labels apart. */
export function percentiles(name: string, filter: string, by = ""): readonly Query[] {
  const labels = by === "" ? "le" : `le, ${by}`;
  const prefix = by === "" ? "" : `{{${by}}} `;
  return [0.5, 0.9, 0.99].map((q) => ({
    expr: `histogram_quantile(${q}, sum by (${labels}) (rate(${name}_bucket${filter}[$__rate_interval])))`,
    legend: `${prefix}p${Math.round(q * 100)}`,
  }));
}

/** The mean of a histogram. */
export function mean(name: string, filter: string, by: string): string {
  return `sum by (${by}) (rate(${name}_sum${filter}[$__rate_interval])) / sum by (${by}) (rate(${name}_count${filter}[$__rate_interval]))`;
}
