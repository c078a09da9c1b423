import { spawn } from "node:child_process";
import { createServer, type AddressInfo, type Server } from "node:net";
import { CoreError, type Logger } from "@stator/core";
import { guardGroup } from "./guard-group.ts";

export interface SpawnServerOptions {
  /** argv; `{port}`, `{rank}` and the names of `portRanges` are filled in. */
  readonly command: readonly string[];
  /** Filled in likewise. */
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
  /** A text in which the same is filled in as in the command. */
  fill(text: string): string;
  /** Ends it: SIGTERM, and SIGKILL after `stopMs`. */
  stop(): Promise<void>;
}

/** Time that a server has to end after SIGTERM, ms. */
const stopMs = 30_000;

/**
 * What engines open beside their own port, so that those of one host need ranges of their own: KV events, their replay, and the
 * side channel over which decode asks for KV. Rank `n` takes the nth port of a range.
 */
const portRanges = ["{events}", "{replay}", "{side}"] as const;
/** Ports of a range: data-parallel ranks of one host, times tensor-parallel ones in vLLM's side channel until 0.11. */
const rangePorts = 16;

/**
 * Starts an engine server in a process group of its own, so that a Ctrl-C drains the worker before it ends the engine. The
 * group ends with this process, even where that is killed.
 */
export async function spawnServer(options: SpawnServerOptions): Promise<SpawnedServer> {
  const { logger } = options;
  const port = options.port ?? (await freePort());
  const filled: [string, string][] = [
    ["{port}", String(port)],
    ["{rank}", process.env["STATOR_RANK"] ?? "0"],
  ];
  const words = [...options.command, ...Object.values(options.environment ?? {})];
  for (const name of portRanges)
    if (words.some((word) => word.includes(name))) filled.push([name, String(await freeRange())]);
  const fill = (text: string): string =>
    filled.reduce((result, [name, value]) => result.replaceAll(name, value), text);
  const argv = options.command.map(fill);
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
    env: {
      ...process.env,
      ...Object.fromEntries(
        Object.entries(options.environment ?? {}).map(([name, value]) => [name, fill(value)]),
      ),
    },
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
    fill,
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
  const server = await listening(0);
  const { port } = server!.address() as AddressInfo;
  await closed(server!);
  return port;
}

/** The first of `rangePorts` neighbours that nobody listens at. */
async function freeRange(): Promise<number> {
  for (let attempt = 0; attempt < 100; attempt++) {
    const first = await freePort();
    const last = first + rangePorts - 1;
    if (last > 65_535) continue;
    const servers: (Server | undefined)[] = [];
    for (let port = first; port <= last; port++) servers.push(await listening(port));
    const isFree = servers.every((server) => server !== undefined);
    await Promise.all(servers.map((server) => server && closed(server)));
    if (isFree) return first;
  }
  throw new CoreError({
    code: "CORE_UNSUPPORTED",
    kind: "unavailable",
    message: `This host has no ${rangePorts} free ports beside each other for an engine.`,
  });
}

/** Undefined where somebody else listens. */
function listening(port: number): Promise<Server | undefined> {
  const server = createServer();
  return new Promise((resolve) => {
    server.once("error", () => resolve(undefined));
    server.listen(port, "127.0.0.1", () => resolve(server));
  });
}

function closed(server: Server): Promise<void> {
  return new Promise((resolve) => server.close(() => resolve()));
}
