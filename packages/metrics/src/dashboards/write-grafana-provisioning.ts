import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { GrafanaJson } from "./dashboard.ts";
import { servingDashboard } from "./serving-dashboard.ts";

export interface GrafanaProvisioningOptions {
  /** Where to write; made if missing. Mount it as Grafana's `/etc/grafana/provisioning`. */
  readonly folder: string;
  /** Where that Grafana sees the folder. Default `folder`. */
  readonly mountedAt?: string;
  /** Default `http://localhost:9090`. */
  readonly prometheusUrl?: string;
  /** Default: the serving board. */
  readonly dashboards?: readonly GrafanaJson[];
}

/** Writes one folder that makes a fresh Grafana show everything: data source, provider and boards. Returns the files. */
export async function writeGrafanaProvisioning(
  options: GrafanaProvisioningOptions,
): Promise<readonly string[]> {
  const {
    folder,
    mountedAt = folder,
    prometheusUrl = "http://localhost:9090",
    dashboards = [servingDashboard()],
  } = options;
  const files = new Map<string, string>([
    [
      "datasources/stator.yaml",
      [
        "apiVersion: 1",
        "datasources:",
        "  - name: Prometheus",
        "    uid: stator-prometheus",
        "    type: prometheus",
        "    access: proxy",
        `    url: ${JSON.stringify(prometheusUrl)}`,
        "    isDefault: true",
        "    jsonData:",
        "      timeInterval: 5s",
        "",
      ].join("\n"),
    ],
    [
      "dashboards/stator.yaml",
      [
        "apiVersion: 1",
        "providers:",
        "  - name: stator",
        "    folder: Stator",
        "    type: file",
        "    allowUiUpdates: true",
        "    options:",
        `      path: ${JSON.stringify(`${mountedAt}/dashboards`)}`,
        "",
      ].join("\n"),
    ],
    ...dashboards.map((board): [string, string] => [
      `dashboards/${String(board["uid"])}.json`,
      `${JSON.stringify(board, undefined, 2)}\n`,
    ]),
  ]);
  for (const part of ["datasources", "dashboards"]) await mkdir(join(folder, part), { recursive: true });
  for (const [name, text] of files) await writeFile(join(folder, name), text);
  return [...files.keys()].map((name) => join(folder, name));
}
