import { dashboardJson, type GrafanaJson } from "./dashboard.ts";
import { machineRows } from "./machine-rows.ts";
import type { Row } from "./panel.ts";
import { servingRows } from "./serving-rows.ts";

export interface ServingDashboardOptions {
  /** Prefix of the metrics. Default `stator`. */
  readonly prefix?: string;
  /** Title in Grafana. Default `Stator`. */
  readonly title?: string;
  /** Rows of the user's own, below the others. */
  readonly extraRows?: readonly Row[];
}

/** Rows of the serving board, as data: objectives, traffic, latency, routing, prefill and decode, resilience, GPU, processes. */
export function servingDashboardRows(options: ServingDashboardOptions = {}): readonly Row[] {
  const p = `${options.prefix ?? "stator"}_`;
  return [...servingRows(p), ...machineRows(p), ...(options.extraRows ?? [])];
}

/** The serving board as Grafana JSON: import it, or let `writeGrafanaProvisioning` write it. */
export function servingDashboard(options: ServingDashboardOptions = {}): GrafanaJson {
  const prefix = options.prefix ?? "stator";
  return dashboardJson({
    title: options.title ?? "Stator",
    uid: `${prefix.replaceAll("_", "-")}-serving`,
    modelSource: `${prefix}_frontend_active_requests`,
    rows: servingDashboardRows(options),
  });
}
