import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { StatorError, type Deadlines, type WorkerHandle, type WorkerRole } from "@stator/core";
import {
  createRuntime,
  createSupervisor,
  fileDiscovery,
  type Discovery,
  type ProcessSpec,
  type Runtime,
  type SupervisedProcess,
  type Supervisor,
} from "@stator/runtime";

import type { FaultProxy } from "../faults/fault-proxy.ts";
import { proxiedDiscovery } from "./proxied-discovery.ts";
import { readRigNote, type RigNote } from "./rig-note.ts";

/** A worker process of a rig. */
export interface RigWorker {
  readonly name: string;
  readonly role: WorkerRole;
}

export interface ProcessRigOptions {
  readonly workers: readonly RigWorker[];
  /** How a worker process is started; it must serve under the given name and call `answerRig`. */
  readonly process: (worker: RigWorker, discovery: string) => Omit<ProcessSpec, "name" | "onLine">;
  /** The caller's side of discovery and what the processes are told of it. Default: files in a folder of the rig's own. */
  readonly discovery?: { readonly discovery: Discovery; readonly address: string };
  /** Puts a fault proxy between the caller and each worker. Default false. */
  readonly isProxied?: boolean;
  readonly deadlines?: Partial<Deadlines>;
  /** How long the workers may take to be known, in ms. Default 60,000. */
  readonly readyMs?: number;
}

export interface TimedNote {
  readonly worker: string;
  readonly atMs: number;
  readonly note: RigNote;
}

/** Worker processes and the caller's side in this process, to be hurt with real signals. */
export interface ProcessRig extends AsyncDisposable {
  /** The caller's side. */
  readonly runtime: Runtime;
  readonly supervisor: Supervisor;
  readonly workers: readonly RigWorker[];
  /** Where files of discovery are, when it is by files. */
  readonly folder: string;
  /** @throws Error for a name that is not there. */
  process(name: string): SupervisedProcess;
  /** What the caller's side knows of a worker's present life. */
  handle(name: string): WorkerHandle | undefined;
  /** The proxy in front of a worker, with `isProxied`. */
  proxy(name: string): FaultProxy;
  /** Has a worker process do something; resolves with its answer. */
  command(name: string, command: string, argument?: string): Promise<Readonly<Record<string, unknown>>>;
  /** Starts one more. */
  add(worker: RigWorker): Promise<void>;
  /** Resolves when this life of the worker gets no new work any more: with `performance.now()` of that moment. */
  unselectable(handle: WorkerHandle): Promise<number>;
  /** Resolves when the named worker is selectable, in another life than the given one. */
  selectable(name: string, notEpoch?: string): Promise<number>;
  /** Calls back for each note of a worker process. Returns how to stop. */
  onNote(listener: (note: TimedNote) => void): () => void;
  close(): Promise<void>;
}

/** Resolves once the condition holds. @throws Error after `withinMs`. */
export async function until(what: string, isTrue: () => boolean, withinMs: number = 60_000): Promise<void> {
  const endMs = performance.now() + withinMs;
  while (!isTrue()) {
    if (performance.now() > endMs) throw new Error(`Not within ${withinMs} ms: ${what}.`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/**
 * Starts worker processes and waits until the caller's side knows them all.
 *
 * @throws Error when they are not known in time.
 */
export async function createProcessRig(options: ProcessRigOptions): Promise<ProcessRig> {
  const folder = await mkdtemp(join(tmpdir(), "stator-rig-"));
  const address = options.discovery?.address ?? `file:${folder}`;
  const plain = options.discovery?.discovery ?? fileDiscovery({ dir: folder });
  const proxied = options.isProxied === true ? proxiedDiscovery(plain) : undefined;
  // A worker that is hurt on purpose, again and again, is to come back at once.
  const supervisor = createSupervisor({
    restart: { firstMs: 10, longestMs: 50, healthyMs: 1, giveUpAfter: 1_000 },
  });
  const runtime = await createRuntime({
    discovery: proxied?.discovery ?? plain,
    ...(options.deadlines === undefined ? {} : { deadlines: options.deadlines }),
  });
  const source = runtime.workers();
  const workers: RigWorker[] = [];
  const listeners = new Set<(note: TimedNote) => void>();
  const lastLines = new Map<string, string>();

  const start = (worker: RigWorker): void => {
    workers.push(worker);
    supervisor.start({
      ...options.process(worker, address),
      name: worker.name,
      onLine(line, stream) {
        const note = stream === "stdout" ? readRigNote(line) : undefined;
        if (note === undefined) lastLines.set(worker.name, line);
        else for (const listen of listeners) listen({ worker: worker.name, atMs: performance.now(), note });
      },
    });
  };

  const rig: ProcessRig = {
    runtime,
    supervisor,
    workers,
    folder,
    process(name) {
      const found = supervisor.find(name);
      if (found === undefined) throw new Error(`There is no worker process ${name}.`);
      return found;
    },
    handle: (name) => source.current().find(({ worker }) => worker.id === name),
    proxy(name) {
      const found = proxied?.proxy(name);
      if (found === undefined) throw new Error(`There is no proxy in front of ${name}.`);
      return found;
    },
    async command(name, command, argument = "") {
      const { control } = await rig.process(name).ready();
      const url = `http://127.0.0.1:${String(control)}/${command}?argument=${encodeURIComponent(argument)}`;
      const response = await fetch(url, { signal: AbortSignal.timeout(10_000) });
      if (!response.ok) throw new Error(`${name} refused ${command}: ${await response.text()}`);
      return (await response.json()) as Readonly<Record<string, unknown>>;
    },
    async add(worker) {
      start(worker);
      await rig.selectable(worker.name);
    },
    unselectable: (handle) =>
      new Promise((resolve) => {
        let stops: (() => void)[] = [];
        const check = (): void => {
          if (handle.health.isSelectable && source.current().includes(handle)) return;
          for (const stop of stops) stop();
          stops = [];
          resolve(performance.now());
        };
        stops = [handle.health.onChange(check), source.onChange(check)];
        check();
      }),
    async selectable(name, notEpoch) {
      await until(
        `${name} is selectable (${supervisor.find(name)?.state}; it said: ${lastLines.get(name) ?? "nothing"})`,
        () => {
          const handle = rig.handle(name);
          return handle !== undefined && handle.worker.epoch !== notEpoch && handle.health.isSelectable;
        },
        options.readyMs,
      );
      return performance.now();
    },
    onNote(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    async close() {
      for (const { pid } of supervisor.processes) {
        try {
          if (pid !== undefined) process.kill(pid, "SIGCONT");
        } catch {
          // It is gone already.
        }
      }
      await runtime.close();
      await Promise.all(supervisor.processes.map((each) => each.stop(100)));
      await supervisor.close();
      await proxied?.close();
      await rm(folder, { recursive: true, force: true });
    },
    [Symbol.asyncDispose]: () => rig.close(),
  };
  try {
    for (const worker of options.workers) start(worker);
    await Promise.all(options.workers.map(({ name }) => rig.selectable(name)));
  } catch (error) {
    await rig.close();
    throw StatorError.isInstance(error) || error instanceof Error ? error : new Error(String(error));
  }
  return rig;
}
