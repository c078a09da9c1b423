// `npm run bench -- frontends --json`: how much more two frontends of `stator up` serve than one, with simulated engines that
// answer at once. Closed loop, one small client over raw sockets. Where the machine has no core left for the second
// frontend, the wall clock cannot show it: processor time per request of each process says what limits, and `byProcessorTime` what
// the frontends would reach on cores of their own. Needs the built executable: `npm run build`.
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import os from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";

interface Side {
  readonly frontends: number;
  /** Answered before, by all frontends together. */
  readonly warmedByRequests: number;
  readonly requestsPerSecond: number;
  /** Processor milliseconds per request, of all processes of a kind together. */
  readonly frontendMs: number;
  readonly workerMs: number;
  readonly clientMs: number;
  readonly supervisorMs: number;
  /** Processor time of each frontend as a share of the time measured. */
  readonly frontendLoad: readonly number[];
}

export async function run(args: readonly string[]): Promise<unknown> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      seconds: { type: "string", default: "8" },
      connections: { type: "string", default: "32" },
      rounds: { type: "string", default: "2" },
      /** Requests that each frontend answers before anything is measured: compiled code is what serves for days. */
      warm: { type: "string", default: "4000" },
    },
  });
  const options = {
    seconds: Number(values.seconds),
    connections: Number(values.connections),
    warm: Number(values.warm),
  };
  const best = new Map<number, Side>();
  for (let round = 0; round < Number(values.rounds); round++) {
    for (const frontends of [1, 2]) {
      const side = await measure(frontends, options);
      const known = best.get(frontends);
      if (known === undefined || side.requestsPerSecond > known.requestsPerSecond) best.set(frontends, side);
    }
  }
  const [one, two] = [best.get(1)!, best.get(2)!];
  const ratio = (a: number, b: number): number => Number((a / b).toFixed(2));
  return {
    cores: os.cpus().length,
    loadAverage: Number(os.loadavg()[0]!.toFixed(1)),
    one,
    two,
    scaling: ratio(two.requestsPerSecond, one.requestsPerSecond),
    /** Two frontends on two cores of their own: twice the cores, by what a request costs each. */
    byProcessorTime: ratio(2 * one.frontendMs, two.frontendMs),
  };
}

async function measure(
  frontends: number,
  {
    seconds,
    connections,
    warm,
  }: { readonly seconds: number; readonly connections: number; readonly warm: number },
): Promise<Side> {
  const folder = await mkdtemp(path.join(os.tmpdir(), "stator-bench-"));
  const layout = path.join(folder, "layout.yaml");
  await writeFile(
    layout,
    `namespace: bench-${process.pid}-${frontends}\nmodels:\n  tiny:\n    pools:\n      all: { role: both, replicas: 1, engine: { kind: simulated } }\n` +
      `planes: { discovery: "file:${folder}/discovery" }\nfrontend: { port: 8000 }\n`,
  );
  const child = spawn(
    process.execPath,
    ["packages/cli/dist/main.js", "up", layout, "--port", "0", "--frontends", String(frontends)],
    { stdio: ["ignore", "pipe", "inherit"] },
  );
  try {
    const port = await portOf(child);
    const warmed = await warmUp(port, connections, warm * frontends);
    const before = await processorMs(child.pid!);
    const own = process.cpuUsage();
    const startedMs = performance.now();
    const requests = await load(port, connections, seconds);
    const elapsedMs = performance.now() - startedMs;
    const after = await processorMs(child.pid!);
    const used = process.cpuUsage(own);
    const spent = [...after].map(([pid, { kind, ms }]) => ({ kind, ms: ms - (before.get(pid)?.ms ?? 0) }));
    const per = (kind: string): number =>
      rounded(spent.filter((each) => each.kind === kind).reduce((sum, { ms }) => sum + ms, 0) / requests);
    return {
      frontends,
      warmedByRequests: warmed,
      requestsPerSecond: Math.round((requests * 1000) / elapsedMs),
      frontendMs: per("frontend"),
      workerMs: per("worker"),
      clientMs: rounded((used.user + used.system) / 1000 / requests),
      supervisorMs: per("up"),
      frontendLoad: spent.filter(({ kind }) => kind === "frontend").map(({ ms }) => rounded(ms / elapsedMs)),
    };
  } finally {
    const gone = once(child, "exit");
    child.kill("SIGINT");
    await gone;
    await rm(folder, { recursive: true, force: true });
  }
}

function portOf(child: ChildProcess): Promise<number> {
  let output = "";
  return new Promise((resolve, reject) => {
    child.once("exit", (code) => reject(new Error(`stator up ended with ${code}: ${output}`)));
    child.stdout!.on("data", (chunk: Buffer) => {
      output += String(chunk);
      const match = /listening on http:\/\/[^:]+:(\d+)/.exec(output);
      if (match !== null) resolve(Number(match[1]));
    });
  });
}

/**
 * By requests and not by time: on a machine without idle cores, two frontends answer half as many each in the same time, and
 * what is compared would be how far their code is compiled. Ends after a minute all the same.
 */
async function warmUp(port: number, connections: number, requests: number): Promise<number> {
  const startedMs = performance.now();
  let done = 0;
  while (done < requests && performance.now() - startedMs < 60_000) done += await load(port, connections, 1);
  return done;
}

/** Requests answered in `seconds`, on keep-alive connections that each send the next when the last is answered. */
async function load(port: number, connections: number, seconds: number): Promise<number> {
  const untilMs = performance.now() + seconds * 1000;
  const lanes = Array.from({ length: connections }, (_, i) => lane(port, i, untilMs));
  return (await Promise.all(lanes)).reduce((sum, done) => sum + done, 0);
}

function lane(port: number, index: number, untilMs: number): Promise<number> {
  return new Promise((resolve, reject) => {
    let done = 0;
    let received = "";
    const socket = connect(port, "127.0.0.1");
    const send = (): void => {
      const prompt = `${index} ${done} Once upon a time there was a stator that stood still`;
      const body = JSON.stringify({ model: "tiny", prompt, max_tokens: 16, ignore_eos: true });
      socket.write(
        `POST /v1/completions HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
      );
    };
    socket.setNoDelay(true).on("connect", send).on("error", reject);
    socket.on("data", (chunk: Buffer) => {
      received += chunk.toString("latin1");
      const head = received.indexOf("\r\n\r\n");
      if (head < 0) return;
      const length = /content-length: (\d+)/i.exec(received.slice(0, head));
      const isWhole =
        length === null ? received.endsWith("0\r\n\r\n") : received.length >= head + 4 + Number(length[1]);
      if (!isWhole) return;
      if (!received.startsWith("HTTP/1.1 200")) {
        reject(new Error(received.slice(0, 300)));
        socket.destroy();
        return;
      }
      received = "";
      done++;
      if (performance.now() < untilMs) send();
      else {
        socket.destroy();
        resolve(done);
      }
    });
  });
}

/** Processor time of a supervisor and its children so far, by pid. */
async function processorMs(
  supervisor: number,
): Promise<Map<number, { readonly kind: string; readonly ms: number }>> {
  const found = new Map<number, { readonly kind: string; readonly ms: number }>();
  for (const entry of await readdir("/proc")) {
    if (!/^\d+$/.test(entry)) continue;
    const stat = await readFile(`/proc/${entry}/stat`, "utf8").catch(() => "");
    // Fields after the name: state, parent, …; user and system time are the 14th and 15th of all, in hundredths.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    const pid = Number(entry);
    if (pid !== supervisor && Number(fields[1]) !== supervisor) continue;
    const line = (await readFile(`/proc/${entry}/cmdline`, "utf8").catch(() => "")).split("\0");
    const kind = line.find((word) => ["up", "worker", "frontend"].includes(word)) ?? "other";
    found.set(pid, { kind, ms: 10 * (Number(fields[11]) + Number(fields[12])) });
  }
  return found;
}

function rounded(value: number): number {
  return Number(value.toFixed(3));
}
