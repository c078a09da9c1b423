import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { WorkerHandle, WorkerSource } from "@stator/core";
import { createSupervisor, type SupervisedProcess } from "@stator/runtime";

/** Worker processes that find each other through a folder of their own. */
export interface WorkerProcesses extends AsyncDisposable {
  readonly dir: string;
  start(id: string, pauseMs?: number): Promise<SupervisedProcess>;
  /** Another program of this folder; it gets the folder for discovery and the id. */
  run(program: string, id: string, ...args: readonly string[]): Promise<SupervisedProcess>;
  /** Resolves when a worker has printed the line. */
  printed(line: string): Promise<void>;
}

export async function workerProcesses(): Promise<WorkerProcesses> {
  const dir = await mkdtemp(join(tmpdir(), "stator-runtime-"));
  const supervisor = createSupervisor();
  const lines = new Set<string>();
  const waiting = new Map<string, () => void>();
  const run = async (program: string, id: string, ...args: readonly string[]): Promise<SupervisedProcess> => {
    const child = supervisor.start({
      name: id,
      command: process.execPath,
      args: [
        "--import",
        "tsx",
        "--conditions=@stator/source",
        join(import.meta.dirname, program),
        dir,
        id,
        ...args,
      ],
      restart: "never",
      onLine(line) {
        lines.add(line);
        waiting.get(line)?.();
      },
    });
    await child.ready();
    return child;
  };
  return {
    dir,
    run,
    start: (id, pauseMs = 2) => run("counting-worker.ts", id, String(pauseMs)),
    printed: (line) =>
      lines.has(line) ? Promise.resolve() : new Promise((resolve) => waiting.set(line, resolve)),
    async [Symbol.asyncDispose]() {
      await Promise.all(supervisor.processes.map((each) => each.stop(100)));
      await supervisor.close();
      await rm(dir, { recursive: true, force: true });
    },
  };
}

/** Resolves once the source has the worker. */
export function joined(source: WorkerSource, id?: string): Promise<WorkerHandle> {
  const isIt = (handle: WorkerHandle): boolean => id === undefined || handle.worker.id === id;
  const present = source.current().find(isIt);
  if (present !== undefined) return Promise.resolve(present);
  return new Promise((resolve) => {
    const stop = source.onChange((change) => {
      if (change.type !== "joined" || !isIt(change.handle)) return;
      stop();
      resolve(change.handle);
    });
  });
}

/** Resolves once the worker is gone from the source. */
export function left(source: WorkerSource, id: string): Promise<void> {
  return new Promise((resolve) => {
    const stop = source.onChange((change) => {
      if (change.type !== "left" || change.handle.worker.id !== id) return;
      stop();
      resolve();
    });
  });
}
