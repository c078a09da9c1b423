import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { writeAlertRules } from "@stator/metrics/alerts";
import { writeGrafanaProvisioning } from "@stator/metrics/dashboards";

export interface Prometheus extends AsyncDisposable {
  readonly url: string;
}

/** Whether a program can be run here. */
export function isInstalled(program: string): boolean {
  return spawnSync(program, ["--version"], { stdio: "ignore" }).error === undefined;
}

export interface MonitoringFiles {
  readonly config: string;
  readonly grafana: string;
}

/** Writes Prometheus' configuration, the rules, and Grafana's provisioning folder. */
export async function writeMonitoring(
  folder: string,
  targets: readonly string[],
  prometheusUrl: string,
  scrapeSeconds = 2,
): Promise<MonitoringFiles> {
  await mkdir(folder, { recursive: true });
  await writeAlertRules(join(folder, "rules.yaml"));
  const config = join(folder, "prometheus.yaml");
  const lines = [
    "global:",
    `  scrape_interval: ${scrapeSeconds}s`,
    `  evaluation_interval: ${scrapeSeconds}s`,
    "rule_files: [rules.yaml]",
    "scrape_configs:",
    "  - job_name: stator",
    "    static_configs:",
    `      - targets: [${targets.map((target) => JSON.stringify(target)).join(", ")}]`,
    "",
  ];
  await writeFile(config, lines.join("\n"));
  const grafana = join(folder, "grafana");
  await writeGrafanaProvisioning({ folder: grafana, mountedAt: "/etc/grafana/provisioning", prometheusUrl });
  return { config, grafana };
}

/** Starts Prometheus and waits until it answers. */
export async function startPrometheus(config: string, folder: string, port: number): Promise<Prometheus> {
  const url = `http://127.0.0.1:${port}`;
  const child: ChildProcess = spawn(
    "prometheus",
    [
      `--config.file=${config}`,
      `--storage.tsdb.path=${join(folder, "data")}`,
      `--web.listen-address=127.0.0.1:${port}`,
      "--log.level=error",
    ],
    { stdio: ["ignore", "ignore", "inherit"] },
  );
  const stop = async (): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const exited = new Promise<void>((resolve) => child.once("exit", () => resolve()));
    child.kill();
    await exited;
  };
  const deadline = Date.now() + 15_000;
  for (;;) {
    const isReady = await fetch(`${url}/-/ready`).then(
      (response) => response.ok,
      () => false,
    );
    if (isReady) return { url, [Symbol.asyncDispose]: stop };
    if (child.exitCode !== null || Date.now() > deadline) {
      await stop();
      throw new Error(`Prometheus did not start on port ${port}.`);
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}
