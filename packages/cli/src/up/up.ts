import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import type { Layout, LayoutPool, Logger } from "@stator/core";
import { createSupervisor, type ProcessSpec, type Supervisor } from "@stator/runtime";
import { createFrontends, type Frontends } from "./frontends.ts";

export interface UpOptions {
  readonly layout: Layout;
  /** The executable whose `worker` and `frontend` commands are started: this file's own `main.js`. */
  readonly main: string;
  readonly logLevel: "silent" | "error" | "warn" | "info" | "debug";
  readonly logger: Logger;
  /** Of frontends: whether workers that join are sent a short prompt to prove their KV events. Default `events`. */
  readonly probe?: "events" | "off";
  /** Of frontends: a folder that gets a file of routing decisions per pool. Default: none are recorded. */
  readonly recordDecisions?: string;
  /** Workers also serve `/metrics`, on free ports. Default true. */
  readonly workerMetrics?: boolean;
  /** Longest wait for all processes. Default 120,000 ms. */
  readonly readyMs?: number;
  readonly onProgress?: (ready: number, all: number) => void;
  /** Every line that a process writes. */
  readonly onLine?: (process: string, line: string) => void;
}

/** A layout that runs. */
export interface Up extends AsyncDisposable {
  readonly url: string;
  readonly supervisor: Supervisor;
  /** The resolved layout, as a file. */
  readonly layoutFile: string;
  /** Starts one more worker of a pool, or ends the newest one after draining it. */
  scale(model: string, pool: string, replicas: number): Promise<void>;
  /** Frontends drain first, then workers; then everything is gone. */
  close(): Promise<void>;
}

/**
 * Runs a layout on this machine: a supervised process for every worker and frontend. Resolves once all are ready.
 *
 * @throws RuntimeError `RUNTIME_PROCESS_FAILED` with the last lines of the process that did not start.
 */
export async function up(options: UpOptions): Promise<Up> {
  const { layout, main, logLevel, logger, readyMs = 120_000 } = options;
  const folder = await mkdtemp(path.join(tmpdir(), "stator-up-"));
  const layoutFile = path.join(folder, "layout.json");
  await writeFile(layoutFile, JSON.stringify(layout), { mode: 0o600 });
  const supervisor = createSupervisor({ logger, restart: { firstMs: 200, finalCode: 2 } });
  let frontends: Frontends | undefined;

  const start = (
    model: string,
    poolName: string,
    pool: LayoutPool,
    index: number,
  ): ReturnType<Supervisor["start"]> => supervisor.start(workerSpec(options, model, poolName, pool, index));

  const close = async (): Promise<void> => {
    await frontends?.close();
    await supervisor.close();
    await rm(folder, { recursive: true, force: true });
  };

  try {
    const waits: Promise<unknown>[] = [];
    for (const [model, { pools }] of Object.entries(layout.models)) {
      for (const [poolName, pool] of Object.entries(pools)) {
        for (let i = 0; i < pool.replicas; i++) waits.push(start(model, poolName, pool, i).ready());
      }
    }
    frontends = createFrontends({
      main,
      args: [
        "frontend",
        layoutFile,
        "--host",
        layout.frontend.host,
        "--log-level",
        logLevel,
        "--gpu-metrics",
        ...(options.probe === undefined ? [] : ["--probe", options.probe]),
        ...(options.recordDecisions === undefined ? [] : ["--record-decisions", options.recordDecisions]),
      ],
      port: layout.frontend.port,
      count: layout.frontend.replicas,
      supervisor,
      ...(options.onLine === undefined ? {} : { onLine: options.onLine }),
    });
    waits.push(frontends.ready());
    let ready = 0;
    for (const wait of waits)
      void wait.then(
        () => options.onProgress?.(++ready, waits.length),
        () => undefined,
      );
    await within(readyMs, Promise.all(waits), supervisor);
    await within(readyMs, isServing(frontends.url), supervisor);
  } catch (error) {
    await close();
    throw error;
  }

  return {
    url: frontends.url,
    supervisor,
    layoutFile,
    async scale(model, poolName, replicas) {
      const pool = layout.models[model]?.pools[poolName];
      if (pool === undefined) throw new RangeError(`the layout has no pool ${poolName} of model ${model}`);
      const names = (): string[] =>
        supervisor.processes
          .map(({ spec }) => spec.name)
          .filter((name) => name.startsWith(`${model}-${poolName}-`));
      const waits: Promise<unknown>[] = [];
      for (let i = 0; names().length < replicas; i++) {
        if (supervisor.find(`${model}-${poolName}-${i}`) === undefined)
          waits.push(start(model, poolName, pool, i).ready());
      }
      const surplus = names().slice(replicas);
      await Promise.all([...waits, ...surplus.map((name) => supervisor.remove(name))]);
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}

function workerSpec(
  options: UpOptions,
  model: string,
  poolName: string,
  pool: LayoutPool,
  index: number,
): ProcessSpec {
  const { layout, main, logLevel } = options;
  const name = `${model}-${poolName}-${index}`;
  const labels = Object.entries(pool.labels ?? {}).flatMap(([key, value]) => ["--label", `${key}=${value}`]);
  return {
    name,
    command: process.execPath,
    args: [
      ...[
        main,
        "worker",
        "--model",
        model,
        "--role",
        pool.role,
        "--engine-json",
        JSON.stringify(pool.engine),
        "--id",
        name,
      ],
      ...["--namespace", layout.namespace, "--discovery", layout.planes.discovery, "--log-level", logLevel],
      ...(options.workerMetrics === false ? [] : ["--metrics-port", "0"]),
      ...labels,
    ],
    ...(pool.environment === undefined ? {} : { env: pool.environment }),
    ...(options.onLine === undefined ? {} : { onLine: (line) => options.onLine?.(name, line) }),
  };
}

/** Waits until the frontend knows a worker for every model. Ends with its caller's deadline. */
async function isServing(url: string): Promise<void> {
  for (;;) {
    const response = await fetch(new URL("/health", url), { signal: AbortSignal.timeout(2_000) }).catch(
      () => undefined,
    );
    if (response?.status === 200) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

async function within<T>(limitMs: number, work: Promise<T>, supervisor: Supervisor): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      const waiting = supervisor.processes
        .filter(({ state }) => state !== "ready")
        .map(({ spec, state }) => `${spec.name} (${state})`);
      reject(
        new Error(
          `Not ready within ${limitMs / 1000} s: ${waiting.join(", ") || "the frontend finds no worker"}.`,
        ),
      );
    }, limitMs);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
