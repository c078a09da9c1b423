import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { connect, createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A real Redis or NATS server in a process of its own, for tests. */
export interface ServerProcess extends AsyncDisposable {
  readonly port: number;
  /** For a client: `redis://127.0.0.1:PORT`, `nats://127.0.0.1:PORT`. */
  readonly url: string;
  signal(signal: NodeJS.Signals): void;
  /** Kills it. */
  stop(): Promise<void>;
  /** Starts it again on its port. `empty`: without its data. */
  start(how?: "empty" | "kept"): Promise<void>;
}

const binaries = {
  redis: { command: "redis-server", version: ["--version"] },
  nats: { command: "nats-server", version: ["--version"] },
} as const;

/** Whether the server is installed; if not, says so once, or throws where `STATOR_REQUIRE` asks for servers. */
export function hasServer(kind: keyof typeof binaries): boolean {
  const { command, version } = binaries[kind];
  const path = `${process.env["PATH"] ?? ""}:/usr/sbin:/usr/local/sbin`;
  const isThere = spawnSync(command, [...version], { env: { ...process.env, PATH: path } }).status === 0;
  if (isThere) return true;
  if ((process.env["STATOR_REQUIRE"] ?? "").split(",").includes("servers"))
    throw new Error(`${command} is not installed.`);
  console.log(`skipped: ${command} is not installed`);
  return false;
}

/** Starts one on a free port, and waits until it listens. `args` are added to its command line. Disposing kills it and removes its data. */
export async function startServer(
  kind: keyof typeof binaries,
  ...args: readonly string[]
): Promise<ServerProcess> {
  const port = await freePort();
  const dir = await mkdtemp(join(tmpdir(), `stator-${kind}-`));
  let child: ReturnType<typeof spawn> | undefined;
  const own =
    kind === "redis"
      ? ["--port", String(port), "--bind", "127.0.0.1", "--dir", dir, "--save", "", "--appendonly", "no"]
      : ["-a", "127.0.0.1", "-p", String(port), "-js", "-sd", dir];
  const server: ServerProcess = {
    port,
    url: `${kind}://127.0.0.1:${port}`,
    signal: (signal) => void child?.kill(signal),
    async stop() {
      if (child === undefined) return;
      const gone = once(child, "exit");
      child.kill("SIGKILL");
      child = undefined;
      await gone;
    },
    async start(how = "kept") {
      if (how === "empty") await rm(dir, { recursive: true, force: true });
      await mkdir(dir, { recursive: true });
      child = spawn(binaries[kind].command, [...own, ...args], {
        stdio: "ignore",
        env: { ...process.env, PATH: `${process.env["PATH"] ?? ""}:/usr/sbin:/usr/local/sbin` },
      });
      await untilListening(port);
    },
    async [Symbol.asyncDispose]() {
      await server.stop();
      await rm(dir, { recursive: true, force: true });
    },
  };
  await server.start();
  return server;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

/** Tries until something listens there; gives up after 10 s. */
async function untilListening(port: number): Promise<void> {
  const endMs = performance.now() + 10_000;
  for (;;) {
    const isUp = await new Promise<boolean>((resolve) => {
      const socket = connect(port, "127.0.0.1", () => {
        socket.destroy();
        resolve(true);
      });
      socket.once("error", () => resolve(false));
    });
    if (isUp) return;
    if (performance.now() > endMs) throw new Error(`Nothing listens on port ${port}.`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
