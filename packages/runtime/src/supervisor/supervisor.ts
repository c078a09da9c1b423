import {
  createDeadlines,
  silentLogger,
  systemClock,
  type Clock,
  type Deadlines,
  type Logger,
} from "@stator/core";
import { RuntimeError } from "../runtime-error.ts";
import type { ProcessSpec } from "./process-spec.ts";
import { superviseProcess, type RestartOptions, type SupervisedProcess } from "./supervised-process.ts";

export interface SupervisorOptions {
  readonly logger?: Logger;
  readonly clock?: Clock;
  readonly restart?: RestartOptions;
  /** `drainMs` is how long a process may take from SIGTERM to its end. */
  readonly deadlines?: Partial<Deadlines>;
}

/** Keeps child processes running, and ends them all with itself. */
export interface Supervisor extends AsyncDisposable {
  readonly processes: readonly SupervisedProcess[];
  /** Starts a process. @throws RuntimeError `RUNTIME_OPTION_INVALID` for a name that is in use. */
  start(spec: ProcessSpec): SupervisedProcess;
  find(name: string): SupervisedProcess | undefined;
  /** Stops one and forgets it. */
  remove(name: string): Promise<void>;
  /** Stops all: the last started first, those of one `close` together. */
  close(): Promise<void>;
}

/**
 * A supervisor. Its children die with this process: on an orderly exit it kills them, and Node children that call
 * `watchSupervisor` notice any other end.
 *
 * @example
 * const supervisor = createSupervisor();
 * const worker = supervisor.start({ name: "decode-0", command: process.execPath, args: ["worker.js"] });
 * await worker.ready();
 */
export function createSupervisor(options: SupervisorOptions = {}): Supervisor {
  const clock = options.clock ?? systemClock;
  const logger = options.logger ?? silentLogger;
  const { drainMs } = createDeadlines(options.deadlines);
  const processes = new Map<string, SupervisedProcess>();

  // Not a signal handler: it only runs once this process ends anyway.
  const onExit = (): void => {
    for (const { pid } of processes.values()) {
      if (pid === undefined) continue;
      try {
        process.kill(pid, "SIGKILL");
      } catch {
        // It is gone already.
      }
    }
  };
  process.on("exit", onExit);

  const supervisor: Supervisor = {
    get processes() {
      return [...processes.values()];
    },
    start(spec) {
      if (processes.has(spec.name)) {
        throw new RuntimeError({
          code: "RUNTIME_OPTION_INVALID",
          kind: "invalid",
          message: `There is a process ${spec.name} already; give another name or remove it first.`,
        });
      }
      const supervised = superviseProcess(spec, { clock, logger, drainMs, restart: options.restart ?? {} });
      processes.set(spec.name, supervised);
      return supervised;
    },
    find: (name) => processes.get(name),
    async remove(name) {
      await processes.get(name)?.stop();
      processes.delete(name);
    },
    async close() {
      await Promise.all([...processes.values()].reverse().map((each) => each.stop()));
      process.off("exit", onExit);
    },
    [Symbol.asyncDispose]: () => supervisor.close(),
  };
  return supervisor;
}
