import cluster, { type Worker } from "node:cluster";
import { once } from "node:events";
import { createInterface } from "node:readline";
import type { Supervisor } from "@stator/runtime";
import { relayReplicas } from "../processes/cluster-channel.ts";

export interface FrontendsOptions {
  readonly main: string;
  readonly args: readonly string[];
  /** 0 picks one; all frontends share it. */
  readonly port: number;
  readonly count: number;
  readonly supervisor: Supervisor;
  readonly onLine?: (process: string, line: string) => void;
}

/** One or several frontend processes behind one port. */
export interface Frontends {
  /** Resolves once all accept connections. */
  ready(): Promise<void>;
  /** Known once ready. */
  readonly url: string;
  close(): Promise<void>;
}

/** One frontend is a supervised process; several share a port through Node's cluster, which hands each connection to one. */
export function createFrontends(options: FrontendsOptions): Frontends {
  return options.count === 1 ? oneFrontend(options) : manyFrontends(options);
}

function oneFrontend({ main, args, port, supervisor, onLine }: FrontendsOptions): Frontends {
  const name = "frontend-0";
  const started = supervisor.start({
    name,
    command: process.execPath,
    args: [main, ...args, "--port", String(port)],
    ...(onLine === undefined ? {} : { onLine: (line: string) => onLine(name, line) }),
  });
  let url = "";
  return {
    async ready() {
      url = String((await started.ready())["url"]);
    },
    get url() {
      return url;
    },
    close: () => supervisor.remove(name),
  };
}

const restartMs = 500;

function manyFrontends({ main, args, port, count, onLine }: FrontendsOptions): Frontends {
  cluster.setupPrimary({ exec: main, args: [...args, "--port", String(port)], silent: true });
  const workers = new Set<Worker>();
  let isClosing = false;
  let url = "";
  const start = (): Worker => {
    const worker = cluster.fork();
    workers.add(worker);
    relayReplicas(worker);
    const name = `frontend-${worker.id - 1}`;
    for (const output of [worker.process.stdout, worker.process.stderr]) {
      if (output) createInterface({ input: output }).on("line", (line) => onLine?.(name, line));
    }
    worker.on("exit", () => {
      workers.delete(worker);
      if (!isClosing) setTimeout(() => isClosing || start(), restartMs);
    });
    return worker;
  };
  const first = Array.from({ length: count }, start);

  return {
    async ready() {
      await Promise.all(
        first.map(
          (worker) =>
            new Promise<void>((resolve, reject) => {
              worker.on("message", (message: { type?: string; data?: { url?: string } }) => {
                if (message.type !== "stator:ready") return;
                url = message.data?.url ?? url;
                resolve();
              });
              worker.once("exit", (code) =>
                reject(new Error(`A frontend ended with code ${code} before it was ready.`)),
              );
            }),
        ),
      );
    },
    get url() {
      return url;
    },
    async close() {
      isClosing = true;
      await Promise.all(
        [...workers].map(async (worker) => {
          const gone = once(worker, "exit");
          worker.process.kill("SIGTERM");
          const timer = setTimeout(() => worker.process.kill("SIGKILL"), 35_000);
          await gone;
          clearTimeout(timer);
        }),
      );
    },
  };
}
