import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { builtPath, hasCurrentBuild } from "./compiled.ts";
import type { MemoryKind } from "../../transport/transport.ts";

/** Commands that a peer process understands. Binary travels as base64. */
export type PeerCommand =
  | {
      readonly do: "open";
      readonly name: string;
      readonly module: string;
      readonly transports: readonly { readonly export: string; readonly options?: unknown }[];
    }
  | {
      readonly do: "allocate";
      readonly bytes: number;
      readonly blockBytes?: number;
      readonly fill: number;
      readonly isRegistered?: boolean;
      readonly memory?: MemoryKind;
    }
  /** Ends the agent; another may be opened. */
  | { readonly do: "close" }
  /** Takes every file descriptor that the process may still have, and gives them back. */
  | { readonly do: "exhaust" | "relax" }
  | { readonly do: "metadata" }
  | { readonly do: "import"; readonly blob: string }
  | { readonly do: "digest"; readonly region: number }
  | { readonly do: "fill"; readonly region: number; readonly fill: number }
  | { readonly do: "bump"; readonly region: number; readonly block: number }
  | { readonly do: "churn"; readonly region: number; readonly blockBytes: number }
  | { readonly do: "stopChurn" }
  | { readonly do: "deregister"; readonly region: number }
  | {
      readonly do: "notify";
      readonly peer: string;
      readonly tag: string;
      readonly payload: string;
      readonly count: number;
    }
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
  /** SIGSTOP; resolves when every thread stands still, which a busy machine may put off. */
  stop(): Promise<void>;
  readonly exited: Promise<void>;
  close(): Promise<void>;
}

export interface SpawnPeerOptions {
  /** Command that starts it with fewer rights or resources, as `["prlimit", "--nofile=64"]`. */
  readonly within?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
}

/** Starts a peer process: from the build where it is current, else from sources through tsx. */
export async function spawnPeer({
  within = [],
  environment = {},
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
  const child: ChildProcess = spawn(command[0] as string, command.slice(1), {
    stdio: ["ignore", "inherit", "inherit", "ipc"],
    serialization: "json",
    env: { ...process.env, ...environment },
  });
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
      return isUntouched && child.exitCode === null;
    },
    exited,
    call(command) {
      const id = next++;
      return new Promise((resolve, reject) => {
        waits.set(id, { resolve, reject });
        child.send({
          id,
          command: "module" in command ? { ...command, module: built(command.module) } : command,
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
