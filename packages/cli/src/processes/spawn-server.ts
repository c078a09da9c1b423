import { spawn } from "node:child_process";
import { once } from "node:events";
import { createServer, type AddressInfo } from "node:net";
import { CoreError, type Logger } from "@stator/core";
import { guardGroup } from "./guard-group.ts";

export interface SpawnServerOptions {
  /** argv; `{port}` and `{rank}` are filled in. */
  readonly command: readonly string[];
  readonly environment?: Readonly<Record<string, string>> | undefined;
  /** Default: a free one. */
  readonly port?: number;
  readonly logger: Logger;
  /** Called when it ends before `stop`. */
  readonly onExit: (reason: string) => void;
}

/** An engine server that this process started. */
export interface SpawnedServer {
  readonly port: number;
  /** Ends it: SIGTERM, and SIGKILL after `stopMs`. */
  stop(): Promise<void>;
}

/** Time that a server has to end after SIGTERM, ms. */
const stopMs = 30_000;

/**
 * Starts an engine server in a process group of its own, so that a Ctrl-C drains the worker before it ends the engine. The
 * group ends with this process, even where that is killed.
 */
export async function spawnServer(options: SpawnServerOptions): Promise<SpawnedServer> {
  const { logger } = options;
  const port = options.port ?? (await freePort());
  const argv = options.command.map((word) =>
    word.replaceAll("{port}", String(port)).replaceAll("{rank}", process.env["STATOR_RANK"] ?? "0"),
  );
  const [file, ...args] = argv;
  if (file === undefined) {
    throw new CoreError({
      code: "CORE_OPTION_INVALID",
      kind: "invalid",
      message: "The engine's command is empty.",
    });
  }
  const child = spawn(file, args, {
    stdio: ["ignore", "pipe", "pipe"],
    detached: true,
    env: { ...process.env, ...options.environment },
  });
  const guard = child.pid === undefined ? undefined : guardGroup(child.pid);
  let isStopping = false;
  let isOver = false;
  let tail = "";
  const read = (chunk: Buffer): void => {
    tail = (tail + String(chunk)).slice(-2_000);
    logger.debug("engine server", { text: String(chunk).trimEnd() });
  };
  child.stdout.on("data", read);
  child.stderr.on("data", read);
  const killTree = (signal: NodeJS.Signals): void => {
    if (child.pid === undefined) return;
    try {
      process.kill(-child.pid, signal);
    } catch {
      // It has just ended.
    }
  };
  const killGroup = (signal: NodeJS.Signals): void => {
    if (!isOver) killTree(signal);
  };
  const killAtExit = (): void => killGroup("SIGKILL");
  process.once("exit", killAtExit);
  const ended = new Promise<void>((resolve) => {
    const end = (reason: string): void => {
      if (isOver) return;
      isOver = true;
      process.off("exit", killAtExit);
      // What the leader left behind in its group goes with it: engines are trees of processes.
      killTree("SIGKILL");
      guard?.release();
      resolve();
      if (!isStopping) options.onExit(`${reason}\n${tail.trim()}`);
    };
    child.once("error", (error) => end(`${file} could not be started: ${error.message}`));
    child.once("exit", (code, signal) => end(`${file} ended with ${signal ?? code}`));
  });

  return {
    port,
    async stop() {
      isStopping = true;
      killGroup("SIGTERM");
      const timer = setTimeout(() => killGroup("SIGKILL"), stopMs);
      await ended;
      clearTimeout(timer);
    },
  };
}

async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}
