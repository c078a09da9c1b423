import { fork } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { pathToFileURL, fileURLToPath } from "node:url";
import { afterEach, expect, test } from "vitest";

const folder = mkdtempSync(path.join(tmpdir(), "stator-guard-"));
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};

test("a worker that gets SIGKILL takes the engine server that it started along, with that one's children", async () => {
  const spawnServer = pathToFileURL(
    fileURLToPath(new URL("../../dist/processes/spawn-server.js", import.meta.url)),
  ).href;
  const worker = path.join(folder, "worker.mjs");
  writeFileSync(
    worker,
    `
    import { spawnServer } from ${JSON.stringify(spawnServer)};
    const logger = { debug(_text, { text }) { process.send(text); }, info() {}, warn() {}, error() {} };
    // A leader with a child, as vLLM and SGLang are.
    const leader = "const { spawn } = require('node:child_process'); const child = spawn('sleep', ['600']); console.log(process.pid + ' ' + child.pid); setInterval(() => {}, 1000);";
    await spawnServer({ command: [process.execPath, "-e", leader], logger, onExit() {} });
    `,
  );
  const process_ = fork(worker, { stdio: "inherit", execArgv: [] });
  const [line] = (await once(process_, "message")) as [string];
  const pids = line.trim().split(" ").map(Number);
  expect(pids.map(isAlive)).toEqual([true, true]);
  process_.kill("SIGKILL");
  await expect.poll(() => pids.filter(isAlive)).toEqual([]);
});
