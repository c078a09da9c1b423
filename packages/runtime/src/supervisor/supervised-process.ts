import { spawn, type ChildProcess } from "node:child_process";
import { createInterface } from "node:readline";
import type { Clock, Logger, Timer } from "@stator/core";
import { RuntimeError } from "../runtime-error.ts";
import { isReadyMessage } from "./notify-ready.ts";
import type { ProcessExit, ProcessSpec, ProcessState } from "./process-spec.ts";

/** How often and how soon a process that ended is started again. */
export interface RestartOptions {
  /** Wait before the first restart; doubles with each failure in a row. Default 500 ms. */
  readonly firstMs?: number;
  /** Longest wait. Default 30,000 ms. */
  readonly longestMs?: number;
  /** A process that was ready for this long has failed for the first time again. Default 60,000 ms. */
  readonly healthyMs?: number;
  /** Failures in a row after which it is left alone. Default 10. */
  readonly giveUpAfter?: number;
  /** Exit code that says: no restart mends this (a wrong option, a missing file). Default: none. */
  readonly finalCode?: number;
}

export interface SupervisedProcess {
  readonly spec: ProcessSpec;
  readonly state: ProcessState;
  readonly pid: number | undefined;
  /** Starts after the first one. */
  readonly restarts: number;
  readonly lastExit: ProcessExit | undefined;
  /**
   * Resolves with what the process said as it became ready, over all restarts until then.
   *
   * @throws RuntimeError `RUNTIME_PROCESS_FAILED` when it stops or fails for good first.
   */
  ready(): Promise<Readonly<Record<string, unknown>>>;
  /** SIGTERM, and after `drainMs` SIGKILL. Not started again. Resolves once it is gone. */
  stop(drainMs?: number): Promise<void>;
  /** Sends a signal; an end by it counts as a failure, so that it is started again. */
  signal(signal: NodeJS.Signals): void;
  onChange(listener: (process: SupervisedProcess) => void): () => void;
}

interface Options {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly drainMs: number;
  readonly restart: RestartOptions;
}

const keptLines = 20;

export function superviseProcess(spec: ProcessSpec, options: Options): SupervisedProcess {
  const { clock, logger } = options;
  const { firstMs = 500, longestMs = 30_000, healthyMs = 60_000, giveUpAfter = 10 } = options.restart;
  const listeners = new Set<(process: SupervisedProcess) => void>();
  const readers = new Set<{
    resolve: (data: Readonly<Record<string, unknown>>) => void;
    reject: (error: Error) => void;
  }>();
  let child: ChildProcess | undefined;
  let state: ProcessState = "starting";
  let readyData: Readonly<Record<string, unknown>> = {};
  let lastExit: ProcessExit | undefined;
  let restarts = 0;
  let failures = 0;
  let startedMs = 0;
  let readyMs: number | undefined;
  let timer: Timer | undefined;
  let lines: string[] = [];
  let isOutOfTime = false;
  let gone: (() => void)[] = [];

  const become = (next: ProcessState): void => {
    state = next;
    if (next === "ready") {
      for (const { resolve } of readers) resolve(readyData);
      readers.clear();
    } else if (next === "stopped" || next === "failed") {
      for (const { reject } of readers) reject(failed());
      readers.clear();
    }
    for (const listener of [...listeners]) listener(supervised);
  };

  const failed = (): RuntimeError =>
    new RuntimeError({
      code: "RUNTIME_PROCESS_FAILED",
      kind: "unavailable",
      message: `Process ${spec.name} is ${state}${lastExit === undefined ? "" : `: ${describe(lastExit)}`}`,
      data: { name: spec.name, ...(lastExit === undefined ? {} : { exit: lastExit }) },
    });

  const beReady = (data: Readonly<Record<string, unknown>>): void => {
    if (state !== "starting") return;
    timer?.cancel();
    readyData = data;
    readyMs = clock.now();
    become("ready");
  };

  const onLine = (line: string, stream: "stdout" | "stderr"): void => {
    if (stream === "stderr") {
      lines.push(line);
      if (lines.length > keptLines) lines.shift();
    }
    if (spec.ready instanceof RegExp) {
      const match = spec.ready.exec(line);
      if (match !== null) beReady({ line, ...match.groups });
    }
    if (spec.onLine !== undefined) spec.onLine(line, stream);
    else logger.info(line, { process: spec.name, stream });
  };

  const start = (): void => {
    lines = [];
    isOutOfTime = false;
    readyMs = undefined;
    startedMs = clock.now();
    const usesIpc = spec.ready === undefined || spec.ready === "ipc";
    const spawned = spawn(spec.command, [...(spec.args ?? [])], {
      env: { ...process.env, ...spec.env },
      stdio: ["ignore", "pipe", "pipe", ...(usesIpc ? ["ipc" as const] : [])],
      ...(spec.cwd === undefined ? {} : { cwd: spec.cwd }),
    });
    child = spawned;
    become("starting");
    for (const stream of ["stdout", "stderr"] as const) {
      const source = spawned[stream];
      if (source) createInterface({ input: source }).on("line", (line) => onLine(line, stream));
    }
    spawned.on("message", (message) => {
      if (isReadyMessage(message)) beReady(message.data);
    });
    let hasEnded = false;
    const ended = (
      code: number | null,
      signal: NodeJS.Signals | null,
      reason?: ProcessExit["reason"],
    ): void => {
      if (hasEnded) return;
      hasEnded = true;
      onExit(code ?? undefined, signal ?? undefined, reason);
    };
    // "close" comes after the last line was read; a grandchild that holds the pipes must not delay it for ever.
    spawned.once("exit", (code, signal) => clock.schedule(500, () => ended(code, signal)));
    spawned.once("close", (code, signal) => ended(code, signal));
    spawned.once("error", (error) => {
      lines.push(error.message);
      if (spawned.pid === undefined) ended(null, null, "notSpawned");
    });
    if (spec.ready === "spawned") {
      spawned.once("spawn", () => beReady({}));
      return;
    }
    timer = clock.schedule(spec.readyMs ?? 60_000, () => {
      isOutOfTime = true;
      spawned.kill("SIGKILL");
    });
  };

  const onExit = (
    code: number | undefined,
    signal: NodeJS.Signals | undefined,
    known?: ProcessExit["reason"],
  ): void => {
    timer?.cancel();
    child = undefined;
    const wasAsked = state === "stopping";
    const reason = known ?? (isOutOfTime ? "notReady" : wasAsked ? "asked" : reasonOf(code, signal, lines));
    lastExit = { code, signal, reason, lastLines: lines, ranMs: clock.now() - startedMs };
    for (const resolve of gone) resolve();
    gone = [];
    const { restart = "always" } = spec;
    if (wasAsked || restart === "never" || (restart === "onFailure" && reason === "done")) {
      become("stopped");
      return;
    }
    if (code !== undefined && code === options.restart.finalCode) {
      become("failed");
      return;
    }
    const wasHealthy = readyMs !== undefined && clock.now() - readyMs >= healthyMs;
    failures = wasHealthy ? 1 : failures + 1;
    logger.warn("process ended", { process: spec.name, exit: describe(lastExit), failures });
    if (failures > giveUpAfter) {
      become("failed");
      return;
    }
    const waitMs = Math.min(longestMs, firstMs * 2 ** (failures - 1));
    timer = clock.schedule(waitMs * (0.5 + Math.random() / 2), () => {
      restarts += 1;
      start();
    });
    become("waiting");
  };

  const supervised: SupervisedProcess = {
    spec,
    get state() {
      return state;
    },
    get pid() {
      return child?.pid;
    },
    get restarts() {
      return restarts;
    },
    get lastExit() {
      return lastExit;
    },
    ready() {
      if (state === "ready") return Promise.resolve(readyData);
      if (state === "stopped" || state === "failed") return Promise.reject(failed());
      return new Promise((resolve, reject) => readers.add({ resolve, reject }));
    },
    async stop(drainMs = options.drainMs) {
      timer?.cancel();
      if (child === undefined) {
        if (state !== "stopped" && state !== "failed") become("stopped");
        return;
      }
      const ending = child;
      const isGone = new Promise<void>((resolve) => gone.push(resolve));
      become("stopping");
      ending.kill("SIGTERM");
      // A stopped process (SIGSTOP) gets no SIGTERM until it goes on; SIGKILL reaches it.
      const hurry = clock.schedule(drainMs, () => ending.kill("SIGKILL"));
      await isGone;
      hurry.cancel();
    },
    signal(signal) {
      child?.kill(signal);
    },
    onChange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
  start();
  return supervised;
}

function reasonOf(
  code: number | undefined,
  signal: NodeJS.Signals | undefined,
  lines: readonly string[],
): ProcessExit["reason"] {
  if (code === 0) return "done";
  if (lines.some((line) => line.includes("JavaScript heap out of memory")) || signal === "SIGKILL")
    return "outOfMemory";
  return signal === undefined ? "failed" : "crashed";
}

function describe(exit: ProcessExit): string {
  const how = exit.signal ?? (exit.code === undefined ? "no start" : `code ${exit.code}`);
  const last = exit.lastLines.at(-1);
  return `${exit.reason} (${how})${last === undefined ? "" : `: ${last}`}`;
}
