import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { connect, createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { until } from "@stator/testing";

/** A real Redis or NATS server of a row. */
export interface Server extends AsyncDisposable {
  readonly url: string;
  signal(signal: NodeJS.Signals): void;
  /** Kills it. */
  stop(): Promise<void>;
  /** Starts it on its port: with its data, or without. */
  start(how?: "empty" | "kept"): Promise<void>;
}

export async function startServer(kind: "redis" | "nats"): Promise<Server> {
  const port = await freePort();
  const folder = await mkdtemp(join(tmpdir(), `stator-faults-${kind}-`));
  const at = String(port);
  const [command, args] =
    kind === "redis"
      ? [
          "redis-server",
          ["--port", at, "--bind", "127.0.0.1", "--dir", folder, "--save", "", "--appendonly", "yes"],
        ]
      : ["nats-server", ["-a", "127.0.0.1", "-p", at, "-js", "-sd", folder]];
  let child: ChildProcess | undefined;
  const server: Server = {
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
      if (how === "empty") await rm(folder, { recursive: true, force: true });
      await mkdir(folder, { recursive: true });
      child = spawn(command, args, {
        stdio: "ignore",
        env: { ...process.env, PATH: `${process.env["PATH"] ?? ""}:/usr/sbin:/usr/local/sbin` },
      });
      let isUp = false;
      const look = (): void => {
        const socket = connect(port, "127.0.0.1", () => {
          isUp = true;
          socket.destroy();
        });
        socket.once("error", () => void (isUp || setTimeout(look, 20)));
      };
      look();
      await until(`${command} listens`, () => isUp, 20_000);
    },
    async [Symbol.asyncDispose]() {
      await server.stop();
      await rm(folder, { recursive: true, force: true });
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
