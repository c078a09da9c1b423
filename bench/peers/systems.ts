import { fork, spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { createServer, type AddressInfo } from "node:net";
import path from "node:path";
import { fileURLToPath } from "node:url";

/** A running process of the comparison. */
export interface Running {
  readonly port: number;
  /** User and system time of it and of its children so far, s. */
  cpuSeconds(): number;
  kill(signal: NodeJS.Signals): void;
  close(): Promise<void>;
}

export interface System {
  readonly name: string;
  /** What was run, with its release. */
  readonly what: string;
  start(urls: readonly string[]): Promise<Running>;
}

export async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

const tsx = ["--import", "tsx"];
const file = (name: string): string => fileURLToPath(new URL(name, import.meta.url));

/** One of ours, in a process of its own; it says when it is ready. */
export async function startOurs(name: string, args: readonly string[], port: number): Promise<Running> {
  const child = fork(file(name), [String(port), ...args], { execArgv: tsx });
  await Promise.race([
    once(child, "message"),
    once(child, "exit").then(() => Promise.reject(new Error(`${name} did not start`))),
  ]);
  return running(child, port);
}

/** Our frontend over vLLM adapters. */
export function stator(tokenizerPath: string): System {
  return {
    name: "stator",
    what: "createOpenAIServer over migrating(createPool(vllm adapters)), one Node process",
    start: async (urls) => startOurs("frontend.ts", [tokenizerPath, ...urls], await freePort()),
  };
}

interface Peer {
  readonly name: string;
  readonly argv: (
    bin: string,
    port: number,
    metricsPort: number,
    urls: readonly string[],
  ) => readonly string[];
  readonly package: string;
}

/** Routers that are had from PyPI and run without a GPU: `pip install sglang-router smg vllm-router`. */
const peers: readonly Peer[] = [
  {
    name: "sglang-router",
    package: "sglang_router",
    argv: (bin, port, metrics, urls) => [
      path.join(bin, "python"),
      ...["-m", "sglang_router.launch_router", "--host", "127.0.0.1", "--port", String(port)],
      ...["--prometheus-port", String(metrics), "--policy", "cache_aware", "--log-level", "error"],
      ...["--worker-urls", ...urls],
    ],
  },
  {
    name: "smg",
    package: "smg",
    argv: (bin, port, metrics, urls) => [
      path.join(bin, "smg"),
      ...["launch", "--host", "127.0.0.1", "--port", String(port)],
      ...["--prometheus-port", String(metrics), "--policy", "cache_aware", "--log-level", "error"],
      ...["--worker-urls", ...urls],
    ],
  },
  {
    name: "vllm-router",
    package: "vllm_router",
    argv: (bin, port, metrics, urls) => [
      path.join(bin, "vllm-router"),
      ...["--host", "127.0.0.1", "--port", String(port)],
      ...["--prometheus-port", String(metrics), "--policy", "cache_aware", "--log-level", "error"],
      ...["--worker-urls", ...urls],
    ],
  },
];

/** The peers whose executables are in a folder (`bin` of a Python environment). */
export function peersIn(bin: string, versions: Readonly<Record<string, string>>): readonly System[] {
  return peers
    .filter(({ name, argv }) => name in versions && existsSync(argv(bin, 0, 0, [])[0]!))
    .map(({ name, argv }) => ({
      name,
      what: `${name} ${versions[name]}, --policy cache_aware`,
      async start(urls) {
        const port = await freePort();
        const [command, ...args] = argv(bin, port, await freePort(), urls) as [string, ...string[]];
        const child = spawn(command, args, { stdio: ["ignore", "pipe", "pipe"], detached: true });
        let output = "";
        for (const from of [child.stdout, child.stderr])
          from.on("data", (chunk: Buffer) => (output = (output + String(chunk)).slice(-2_000)));
        const deadline = performance.now() + 120_000;
        while (!(await answers(port))) {
          if (child.exitCode !== null || performance.now() > deadline) {
            child.kill("SIGKILL");
            throw new Error(`${name} did not start:\n${output}`);
          }
          await new Promise((resolve) => setTimeout(resolve, 200));
        }
        return running(child, port);
      },
    }));
}

/** Whether a completion comes back: a router that listens may not know its workers yet. */
async function answers(port: number): Promise<boolean> {
  try {
    const response = await fetch(`http://127.0.0.1:${port}/v1/completions`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ model: "bench", prompt: "ready?", max_tokens: 1, stream: true }),
      signal: AbortSignal.timeout(2_000),
    });
    return response.ok && (await response.text()).includes("data:");
  } catch {
    return false;
  }
}

function running(child: ChildProcess, port: number): Running {
  return {
    port,
    cpuSeconds: () => cpuOf(child.pid!),
    kill: (signal) => void child.kill(signal),
    async close() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const ended = once(child, "exit");
      child.kill("SIGKILL");
      await ended;
    },
  };
}

/** Linux: fields 14 and 15 of `/proc/PID/stat`, in ticks of 10 ms. */
function cpuOf(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]!.split(" ");
  return (Number(fields[11]) + Number(fields[12])) / 100;
}
