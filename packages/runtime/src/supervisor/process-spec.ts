/** One child process to keep running. */
export interface ProcessSpec {
  /** For logs, metrics and look-ups; unique in the supervisor. */
  readonly name: string;
  /** Executable; `process.execPath` for Node. */
  readonly command: string;
  readonly args?: readonly string[];
  /** Added to the supervisor's own environment. */
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /**
   * When it counts as ready. `ipc`: it calls `notifyReady` (Node children; the default). A pattern: the first line of
   * its standard output or error that matches. `spawned`: at once.
   */
  readonly ready?: "ipc" | "spawned" | RegExp;
  /** Not ready within this time: killed, counted as a failure. Default 60,000 ms. */
  readonly readyMs?: number;
  /** Default `always`: after any end that was not asked for. `onFailure`: not after exit code 0. */
  readonly restart?: "always" | "onFailure" | "never";
  /** Gets every line that the process writes. Default: the supervisor's logger. */
  readonly onLine?: (line: string, stream: "stdout" | "stderr") => void;
}

/**
 * - `starting`: spawned, not ready. - `ready`. - `waiting`: ended, starts again after its back-off. - `stopping`: asked
 *   to end. - `stopped`: ended as asked, or for good by its `restart` rule. - `failed`: failed too often in a row.
 */
export type ProcessState = "starting" | "ready" | "waiting" | "stopping" | "stopped" | "failed";

/** How a process ended. */
export interface ProcessExit {
  readonly code: number | undefined;
  readonly signal: NodeJS.Signals | undefined;
  /**
   * `asked`: by `stop` or `kill`. `done`: exit code 0. `failed`: another code. `outOfMemory`: V8's heap limit, or a
   * SIGKILL that was not ours (mostly the kernel's). `crashed`: another signal. `notReady`: the ready deadline.
   * `notSpawned`: could not be started at all.
   */
  readonly reason: "asked" | "done" | "failed" | "outOfMemory" | "crashed" | "notReady" | "notSpawned";
  /** Its last lines on standard error, at most 20. */
  readonly lastLines: readonly string[];
  /** How long it ran. */
  readonly ranMs: number;
}
