import { execFileSync, spawn, spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";

const here = fileURLToPath(new URL(".", import.meta.url));
const bin = mkdtempSync(path.join(tmpdir(), "stator-launch-"));
const log = path.join(bin, "log");

// Stands where an engine or stator would: tells how it was started, answers /health, tells when it is asked to end.
const program = `
import { createServer } from "node:http";
import { appendFileSync } from "node:fs";
const [name, ...args] = process.argv.slice(2);
const { CUDA_VISIBLE_DEVICES: gpus, VLLM_NIXL_SIDE_CHANNEL_PORT: side } = process.env;
const tell = (event) => appendFileSync(${JSON.stringify(log)}, JSON.stringify({ name, event, args, gpus, side }) + "\\n");
const port = name === "stator" ? 0 : Number(args[args.indexOf("--port") + 1]);
const server = createServer((_, response) => response.end());
server.on("error", () => server.listen(0, "127.0.0.1", () => tell("start")));
server.listen(port, "127.0.0.1", () => tell("start"));
process.on("SIGTERM", () => { tell("end"); process.exit(0); });
`;

interface Feed {
  readonly endpoint: string;
  readonly replay_endpoint: string;
}

interface Entry {
  readonly name: string;
  readonly event: "start" | "end";
  readonly args: readonly string[];
  readonly gpus?: string;
  readonly side?: string;
}

function entries(): Entry[] {
  return readFileSync(log, "utf8")
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as Entry);
}

const environment = { ...process.env, PATH: `${bin}:${process.env["PATH"] ?? ""}` };
const valueOf = (args: readonly string[], flag: string): string => args[args.indexOf(flag) + 1] ?? "";

beforeAll(() => {
  writeFileSync(log, "");
  writeFileSync(path.join(bin, "stand-in.mjs"), program);
  for (const name of ["vllm", "stator"])
    writeFileSync(
      path.join(bin, name),
      `#!/bin/sh\nexec "${process.execPath}" "${bin}/stand-in.mjs" ${name} "$@"\n`,
      { mode: 0o755 },
    );
  for (const name of ["python", "trtllm-llmapi-launch"])
    writeFileSync(path.join(bin, name), `#!/bin/sh\nprintf '%s\\n' "$@"\n`, { mode: 0o755 });
});

afterAll(() => rmSync(bin, { recursive: true, force: true }));

test("one host: every engine has GPUs and ports of its own, and ends after the worker beside it", async () => {
  const child = spawn("sh", [path.join(here, "qwen3-32b-vllm-h100/bare-metal.sh")], {
    env: { ...environment, FIRST_PORT: String(20_000 + 10 * (process.pid % 1000)) },
    stdio: "ignore",
  });
  const exited = new Promise((resolve) => child.once("exit", resolve));
  const deadline = AbortSignal.timeout(40_000);
  const started = (name: string): Entry[] =>
    entries().filter((entry) => entry.name === name && entry.event === "start");
  while (started("vllm").length < 4 || started("stator").length < 5) {
    deadline.throwIfAborted();
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  const engines = started("vllm");
  expect(engines.map(({ gpus }) => gpus).sort()).toEqual(["0,1", "2,3", "4,5", "6,7"]);
  expect(new Set(engines.map(({ side }) => side)).size).toBe(4);
  expect(new Set(engines.map(({ args }) => valueOf(args, "--port"))).size).toBe(4);
  const feeds = engines.map(({ args }) => JSON.parse(valueOf(args, "--kv-events-config")) as Feed);
  expect(new Set(feeds.flatMap((feed) => [feed.endpoint, feed.replay_endpoint])).size).toBe(8);
  const workers = started("stator").filter(({ args }) => args[0] === "worker");
  expect(workers.map(({ args }) => valueOf(args, "--id")).sort()).toEqual([
    "decode-0",
    "decode-1",
    "prefill-0",
    "prefill-1",
  ]);
  for (const { args } of workers) {
    const port = new URL(valueOf(args, "--url")).port;
    const engine = engines.find((entry) => valueOf(entry.args, "--port") === port);
    const feed = JSON.parse(valueOf(engine?.args ?? [], "--kv-events-config")) as Feed;
    const replay = feed.replay_endpoint.replace("tcp://*:", "");
    expect(`${feed.endpoint.replace("*", "127.0.0.1")}?replay=${replay}`).toBe(valueOf(args, "--kv-events"));
  }
  child.kill("SIGTERM");
  await exited;
  const ends = entries().filter(({ event }) => event === "end");
  expect(ends.map(({ name }) => name)).toEqual([
    ...Array<string>(5).fill("stator"),
    ...Array<string>(4).fill("vllm"),
  ]);
});

test("several hosts: each node is told its number and the first one's address, by argument or by LeaderWorkerSet", () => {
  const script = path.join(here, "deepseek-r1-sglang-h100/decode.sh");
  const run = (args: readonly string[], env: Readonly<Record<string, string>> = {}): string[] =>
    execFileSync("sh", [script, ...args], { env: { ...environment, ...env }, encoding: "utf8" }).split("\n");
  const byHand = run(["8001", "3", "10.0.0.1"]);
  expect(byHand).toEqual(expect.arrayContaining(["--port", "8001"]));
  expect(valueOf(byHand, "--node-rank")).toBe("3");
  expect(valueOf(byHand, "--nnodes")).toBe("9");
  expect(valueOf(byHand, "--dist-init-addr")).toBe("10.0.0.1:5000");
  expect(JSON.parse(valueOf(byHand, "--kv-events-config"))).toMatchObject({
    endpoint: "tcp://*:5557",
    replay_endpoint: "tcp://*:6557",
  });
  const inGroup = run([], { LWS_WORKER_INDEX: "8", LWS_LEADER_ADDRESS: "decode-0.decode.ns" });
  expect(valueOf(inGroup, "--node-rank")).toBe("8");
  expect(valueOf(inGroup, "--dist-init-addr")).toBe("decode-0.decode.ns:5000");
});

const scripts = readdirSync(here, { recursive: true, encoding: "utf8" })
  .filter((file) => /\.(sh|sbatch)$/.test(file) && !file.includes("node_modules"))
  .sort();
const shellcheck = spawnSync("shellcheck", ["--version"], { stdio: "ignore" }).status === 0;
const isRequired = process.env["STATOR_REQUIRE"]?.split(",").includes("shellcheck") === true;
if (!shellcheck && !isRequired)
  console.log("skipped: scripts of recipes are linted where shellcheck is installed");

test.skipIf(!shellcheck && !isRequired)("shellcheck finds nothing in any script of any recipe", () => {
  expect(scripts.length).toBeGreaterThan(30);
  const found = spawnSync("shellcheck", ["--severity=style", ...scripts], { cwd: here, encoding: "utf8" });
  expect(found.stdout + found.stderr).toBe("");
});

test("TensorRT-LLM over several hosts starts under its launcher and finds its YAML", () => {
  const script = path.join(here, "deepseek-r1-trtllm-gb200/decode.sh");
  const words = execFileSync("sh", [script, "9000"], { env: environment, encoding: "utf8" }).split("\n");
  expect(words.slice(0, 2)).toEqual(["trtllm-serve", "deepseek-ai/DeepSeek-R1"]);
  expect(valueOf(words, "--port")).toBe("9000");
  expect(valueOf(words, "--config")).toBe("decode.yaml");
});
