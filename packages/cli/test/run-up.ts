import { spawn, type ChildProcess } from "node:child_process";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../../..", import.meta.url));

export interface RunningUp {
  readonly url: string;
  readonly child: ChildProcess;
  /** Pids of processes whose command line has this text, such as `--id tiny-decode-0`. */
  pids(text: string): Promise<number[]>;
  /** Sends SIGINT and resolves with the exit code. */
  stop(): Promise<number | null>;
}

/** Starts the built `stator up` on the quickstart's layout, as `npm start` does, on a free port. */
export async function runUp(args: readonly string[]): Promise<RunningUp> {
  const child = spawn(
    process.execPath,
    ["packages/cli/dist/main.js", "up", "examples/quickstart/layout.yaml", "--port", "0", ...args],
    {
      cwd: root,
      stdio: ["ignore", "pipe", "pipe"],
    },
  );
  let output = "";
  const exited = new Promise<number | null>((resolve) => child.once("exit", resolve));
  const url = await new Promise<string>((resolve, reject) => {
    const read = (chunk: Buffer): void => {
      output += String(chunk);
      const match = /listening on (http:\/\/\S+)/.exec(output);
      if (match !== null) resolve(match[1]!);
    };
    child.stdout.on("data", read);
    child.stderr.on("data", (chunk: Buffer) => (output += String(chunk)));
    void exited.then((code) => reject(new Error(`stator up ended with ${code}:\n${output}`)));
  });
  return {
    url,
    child,
    pids: async (text) => {
      const { readdir, readFile } = await import("node:fs/promises");
      const found: number[] = [];
      for (const entry of await readdir("/proc")) {
        if (!/^\d+$/.test(entry)) continue;
        const line = await readFile(`/proc/${entry}/cmdline`, "utf8").catch(() => "");
        const parent = await readFile(`/proc/${entry}/stat`, "utf8").catch(() => "");
        const isOurs = parent.slice(parent.lastIndexOf(")") + 2).split(" ")[1] === String(child.pid);
        if (isOurs && line.replaceAll("\0", " ").includes(text)) found.push(Number(entry));
      }
      return found;
    },
    async stop() {
      child.kill("SIGINT");
      return exited;
    },
  };
}
