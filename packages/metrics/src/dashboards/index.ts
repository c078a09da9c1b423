export type { Panel, Query, Row } from "./panel.ts";
export { figure, heatmap, lines, mean, percentiles } from "./panel.ts";
export type { DashboardDefinition, GrafanaJson } from "./dashboard.ts";
export { dashboardJson } from "./dashboard.ts";
export type { ServingDashboardOptions } from "./serving-dashboard.ts";
export { servingDashboard, servingDashboardRows } from "./serving-dashboard.ts";
export type { GrafanaProvisioningOptions } from "./write-grafana-provisioning.ts";
export { writeGrafanaProvisioning } from "./write-grafana-provisioning.ts";
