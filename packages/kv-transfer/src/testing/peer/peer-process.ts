import { type ChildProcess, spawn } from "node:child_process";
import { accessSync, constants, existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { builtPath, hasCurrentBuild } from "./compiled.ts";
import type { MemoryKind } from "../../transport/transport.ts";

/** Commands that a peer process understands. Binary travels as base64. */
export type PeerCommand =
  | {
      readonly do: "open";
      readonly name: string;
      readonly module: string;
      /** Each from `module`, or from one of its own. */
      readonly transports: readonly {
        readonly module?: string;
        readonly export: string;
        readonly options?: unknown;
      }[];
    }
  | {
      readonly do: "allocate";
      readonly bytes: number;
      readonly blockBytes?: number;
      /** Seed of the pattern it begins with. Default: none, zeros. */
      readonly fill?: number;
      readonly isRegistered?: boolean;
      readonly memory?: MemoryKind;
    }
  /** Ends the agent; another may be opened. */
  | { readonly do: "close" }
  /** Takes every file descriptor that the process may still have, and gives them back. */
  | { readonly do: "exhaust" | "relax" }
  | { readonly do: "metadata" }
  /** Its pid, where a command is between it and us. */
  | { readonly do: "pid" }
  /** Bytes of resident memory after a collection. */
  | { readonly do: "residentBytes" }
  /** What its agent has warned of. */
  | { readonly do: "warnings" }
  /** Kills itself when so many of the places no longer hold the pattern. */
  | {
      readonly do: "killAt";
      readonly region: number;
      readonly fill: number;
      readonly places: readonly number[];
      readonly changed: number;
    }
  /** Makes a file when the byte is no longer 0. */
  | { readonly do: "tellWritten"; readonly region: number; readonly offset: number; readonly file: string }
  /** Ends the process with this code while transfers of its own run. */
  | { readonly do: "exitInTransfer"; readonly region: number; readonly code: number }
  /** Notifications up to one with this tag, as tags. */
  | { readonly do: "tags"; readonly until: string }
  | { readonly do: "import"; readonly blob: string }
  | { readonly do: "digest"; readonly region: number }
  | { readonly do: "fill"; readonly region: number; readonly fill: number }
  | { readonly do: "churn"; readonly region: number; readonly blockBytes: number }
  | { readonly do: "stopChurn" }
  | { readonly do: "deregister"; readonly region: number }
  | {
      readonly do: "notify";
      readonly peer: string;
      readonly tag: string;
      /** Default: the number of the message, 4 bytes. */
      readonly payload?: string;
      readonly count: number;
    }
  /** Notifications that were acknowledged since the last `notify` began. */
  | { readonly do: "acknowledged" }
  | { readonly do: "expect"; readonly peer: string; readonly tag: string; readonly count: number }
  | {
      readonly do: "write";
      readonly peer: string;
      readonly region: number;
      readonly remote: number;
      readonly bytes: number;
      readonly notify: string;
      readonly require?: readonly string[];
    }
  | { readonly do: "offer"; readonly blocks: number; readonly bytes: number; readonly leaseMs: number }
  | { readonly do: "heldLeases" }
  | { readonly do: "fetch"; readonly opaque: string }
  /** Lets the event loop stand still from when the one file is there until the other is. */
  | { readonly do: "blockLoop"; readonly blocked: string; readonly release: string }
  /** Runs an agent in a worker thread and ends the thread while its transfers run. */
  | {
      readonly do: "endWorker";
      readonly module: string;
      readonly export: string;
      readonly options?: unknown;
      readonly memory?: MemoryKind;
    };

/** A second process with its own agent. */
export interface PeerProcess {
  readonly pid: number;
  /** True until a signal was sent to it. */
  readonly isUntouched: boolean;
  call(command: PeerCommand): Promise<unknown>;
  /** Sends without waiting for the answer. */
  tell(command: PeerCommand): void;
  signal(name: NodeJS.Signals): void;
  /** How it ended. */
  readonly end: () => { readonly code: number | null; readonly signal: NodeJS.Signals | null };
  /** SIGSTOP; resolves when every thread stands still, which a busy machine may put off. */
  stop(): Promise<void>;
  readonly exited: Promise<void>;
  close(): Promise<void>;
}

export interface SpawnPeerOptions {
  /** Command that starts it with fewer rights or resources, as `["prlimit", "--nofile=64"]`. */
  readonly within?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  /** Pid it shall have, if this user may choose; `PeerProcess.pid` says which it got. */
  readonly pid?: number;
}

const lastPidFile = "/proc/sys/kernel/ns_last_pid";
const pidAttempts = 200;

/** Starts processes until one has the wanted pid: others of this machine may take it first. */
function spawnAs(pid: number | undefined, start: () => ChildProcess): ChildProcess {
  if (pid === undefined || !mayChoosePids()) return start();
  // Others' pids go on from where they were, so that this one stays free for who asks for it again.
  const before = readFileSync(lastPidFile, "utf8");
  let child: ChildProcess | undefined;
  for (let attempt = 0; attempt < pidAttempts; attempt += 1) {
    child?.kill("SIGKILL");
    writeFileSync(lastPidFile, String(pid - 1));
    child = start();
    writeFileSync(lastPidFile, before);
    if (child.pid === pid) return child;
  }
  return child as ChildProcess;
}

/** Whether this user may say which pid the next process gets. */
export function mayChoosePids(): boolean {
  try {
    accessSync(lastPidFile, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

/** Starts a peer process: from the build where it is current, else from sources through tsx. */
export async function spawnPeer({
  within = [],
  environment = {},
  pid,
}: SpawnPeerOptions = {}): Promise<PeerProcess> {
  const isSource = import.meta.url.endsWith(".ts") && !hasCurrentBuild();
  const here = import.meta.url.endsWith(".ts") ? "./peer-main.ts" : "./peer-main.js";
  const built = (path: string): string => (isSource ? path : builtPath(path));
  const script = built(fileURLToPath(new URL(here, import.meta.url)));
  const command = [
    ...within,
    process.execPath,
    ...(isSource ? ["--import", "tsx", "--conditions=@stator/source"] : []),
    script,
  ];
  const child = spawnAs(pid, () =>
    spawn(command[0] as string, command.slice(1), {
      stdio: ["ignore", "inherit", "inherit", "ipc"],
      serialization: "json",
      env: { ...process.env, ...environment },
    }),
  );
  let isUntouched = true;
  const waits = new Map<number, { resolve: (value: unknown) => void; reject: (error: Error) => void }>();
  let next = 1;
  const exited = new Promise<void>((resolve) => {
    child.once("exit", () => {
      for (const wait of waits.values()) wait.reject(new Error("The peer process ended."));
      waits.clear();
      resolve();
    });
  });
  child.on("message", (message: { id: number; value?: unknown; error?: string }) => {
    const wait = waits.get(message.id);
    waits.delete(message.id);
    if (message.error === undefined) wait?.resolve(message.value);
    else wait?.reject(new Error(message.error));
  });
  const peer: PeerProcess = {
    pid: child.pid ?? 0,
    get isUntouched() {
      return isUntouched && child.exitCode === null && child.signalCode === null;
    },
    exited,
    end: () => ({ code: child.exitCode, signal: child.signalCode }),
    call(command) {
      const id = next++;
      return new Promise((resolve, reject) => {
        waits.set(id, { resolve, reject });
        const message = { id, command: withBuilt(command, built) };
        child.send(message, (error) => {
          // It ended before it could be asked.
          if (error !== null && waits.delete(id)) reject(error);
        });
      });
    },
    tell(command) {
      child.send({ id: 0, command });
    },
    signal(name) {
      isUntouched = false;
      child.kill(name);
    },
    async stop() {
      isUntouched = false;
      child.kill("SIGSTOP");
      const tasks = `/proc/${child.pid}/task`;
      const isStopped = (task: string): boolean =>
        / [Tt] /.test(readFileSync(`${tasks}/${task}/stat`, "utf8").replace(/^.*\)/s, ""));
      // Elsewhere than on Linux the signal is all there is to know.
      while (child.exitCode === null && existsSync(tasks) && !readdirSync(tasks).every(isStopped))
        await new Promise((resolve) => setTimeout(resolve, 1));
    },
    async close() {
      child.kill("SIGCONT");
      child.kill("SIGKILL");
      await exited;
    },
  };
  await new Promise<void>((resolve, reject) => {
    waits.set(0, { resolve: () => resolve(), reject });
  });
  return peer;
}

/** The command with built modules in place of sources. */
function withBuilt(command: PeerCommand, built: (path: string) => string): PeerCommand {
  if (command.do === "endWorker") return { ...command, module: built(command.module) };
  if (command.do !== "open") return command;
  return {
    ...command,
    module: built(command.module),
    transports: command.transports.map((wanted) =>
      wanted.module === undefined ? wanted : { ...wanted, module: built(wanted.module) },
    ),
  };
}
