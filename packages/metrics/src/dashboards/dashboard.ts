import { invalid } from "../metrics-error.ts";
import type { Panel, Row } from "./panel.ts";

/** Grafana's dashboard JSON, as far as this package writes it. */
export type GrafanaJson = Readonly<Record<string, unknown>>;

export interface DashboardDefinition {
  readonly title: string;
  /** Stable id in Grafana's URLs: letters, digits, dashes. */
  readonly uid: string;
  readonly rows: readonly Row[];
  /** Series from which the `$model` variable is filled. */
  readonly modelSource: string;
}

/** Grafana 10 and later. */
const schemaVersion = 39;

/**
 * A dashboard's JSON.
 *
 * @throws MetricsError `METRICS_OPTION_INVALID` for two panels of one name, or one without a query or a description.
 */
export function dashboardJson(definition: DashboardDefinition): GrafanaJson {
  check(definition);
  let id = 0;
  let y = 0;
  const panels: GrafanaJson[] = [];
  for (const row of definition.rows) {
    const rowPanel = {
      id: ++id,
      type: "row",
      title: row.title,
      collapsed: row.isCollapsed ?? false,
      gridPos: { x: 0, y: y++, w: 24, h: 1 },
    };
    const inside: GrafanaJson[] = [];
    let x = 0;
    let rowHeight = 0;
    for (const panel of row.panels) {
      const w = panel.width ?? 8;
      const h = panel.kind === "stat" && w <= 8 && row.title !== "Objectives" ? 4 : 8;
      if (x + w > 24) {
        x = 0;
        y += rowHeight;
        rowHeight = 0;
      }
      inside.push(panelJson(panel, ++id, { x, y, w, h }));
      x += w;
      rowHeight = Math.max(rowHeight, h);
    }
    y += rowHeight;
    panels.push({ ...rowPanel, panels: row.isCollapsed === true ? inside : [] });
    if (row.isCollapsed !== true) panels.push(...inside);
  }
  return {
    uid: definition.uid,
    title: definition.title,
    tags: ["stator"],
    schemaVersion,
    version: 1,
    editable: true,
    graphTooltip: 1,
    refresh: "10s",
    time: { from: "now-30m", to: "now" },
    timezone: "browser",
    annotations: { list: [] },
    links: [],
    templating: { list: [datasourceVariable(), modelVariable(definition.modelSource)] },
    panels,
  };
}

const datasource = { type: "prometheus", uid: "${datasource}" };

function panelJson(panel: Panel, id: number, gridPos: GrafanaJson): GrafanaJson {
  const steps = panel.thresholds;
  const isDescending = steps !== undefined && steps[0] > steps[1];
  const thresholds =
    steps === undefined
      ? { mode: "absolute", steps: [{ color: "green", value: null }] }
      : {
          mode: "absolute",
          steps: isDescending
            ? [
                { color: "red", value: null },
                { color: "orange", value: steps[1] },
                { color: "green", value: steps[0] },
              ]
            : [
                { color: "green", value: null },
                { color: "orange", value: steps[0] },
                { color: "red", value: steps[1] },
              ],
        };
  const custom =
    panel.kind === "timeseries"
      ? {
          custom: {
            lineWidth: 2,
            fillOpacity: panel.isStacked === true ? 40 : 8,
            showPoints: "never",
            spanNulls: 60_000,
            stacking: { mode: panel.isStacked === true ? "normal" : "none", group: "A" },
          },
        }
      : {};
  return {
    id,
    type: panel.kind,
    title: panel.title,
    description: panel.description,
    datasource,
    gridPos,
    fieldConfig: {
      defaults: {
        unit: panel.unit,
        min: 0,
        ...(panel.max === undefined ? {} : { max: panel.max }),
        thresholds,
        ...custom,
      },
      overrides: [],
    },
    options: optionsOf(panel),
    targets: panel.queries.map(({ expr, legend }, i) => ({
      refId: String.fromCharCode(65 + i),
      datasource,
      expr,
      legendFormat: legend,
      ...(panel.kind === "heatmap" ? { format: "heatmap" } : {}),
      ...(panel.kind === "stat" ? { instant: true } : {}),
    })),
  };
}

function optionsOf(panel: Panel): GrafanaJson {
  if (panel.kind === "stat")
    return {
      colorMode: "value",
      graphMode: "none",
      textMode: "value",
      reduceOptions: { calcs: ["lastNotNull"], fields: "", values: false },
    };
  if (panel.kind === "heatmap")
    return {
      calculate: false,
      yAxis: { unit: panel.unit },
      color: { scheme: "Oranges", mode: "scheme", steps: 64 },
      cellGap: 1,
    };
  return { legend: { displayMode: "list", placement: "bottom" }, tooltip: { mode: "multi", sort: "desc" } };
}

function datasourceVariable(): GrafanaJson {
  return {
    name: "datasource",
    label: "Prometheus",
    type: "datasource",
    query: "prometheus",
    hide: 0,
    refresh: 1,
  };
}

function modelVariable(source: string): GrafanaJson {
  return {
    name: "model",
    label: "Model",
    type: "query",
    datasource,
    query: { query: `label_values(${source}, model)`, refId: "model" },
    definition: `label_values(${source}, model)`,
    includeAll: true,
    allValue: ".*",
    multi: true,
    refresh: 2,
    current: { text: "All", value: "$__all" },
  };
}

function check({ rows, uid }: DashboardDefinition): void {
  if (!/^[a-z0-9-]{1,40}$/.test(uid))
    throw invalid(
      "METRICS_OPTION_INVALID",
      `uid "${uid}" must be 1 to 40 lower-case letters, digits and dashes.`,
    );
  const titles = new Set<string>();
  for (const { title, queries, description } of rows.flatMap((row) => row.panels)) {
    if (titles.has(title))
      throw invalid("METRICS_OPTION_INVALID", `Two panels are called "${title}"; give each its own title.`);
    if (queries.length === 0 || description === "")
      throw invalid("METRICS_OPTION_INVALID", `Panel "${title}" needs a query and a description.`);
    titles.add(title);
  }
}
