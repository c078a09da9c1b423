import { fork } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { pathToFileURL, fileURLToPath } from "node:url";
import { silentLogger } from "@stator/core";
import { afterEach, beforeEach, expect, test } from "vitest";
import { spawnServer } from "./spawn-server.ts";

let folder: string;
beforeEach(() => void (folder = mkdtempSync(path.join(tmpdir(), "stator-guard-"))));
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
  const built = pathToFileURL(
    fileURLToPath(new URL("../../dist/processes/spawn-server.js", import.meta.url)),
  ).href;
  const worker = path.join(folder, "worker.mjs");
  writeFileSync(
    worker,
    `
    import { spawnServer } from ${JSON.stringify(built)};
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

test("replicas of one command get ports of their own for events, replay and side channel, and the worker knows them", async () => {
  const file = path.join(folder, "ports");
  const script = `require("node:fs").writeFileSync(process.argv[1], process.argv[2] + " " + process.env.SIDE); setInterval(() => {}, 1000);`;
  const start = async (index: number) => {
    const server = await spawnServer({
      command: [
        process.execPath,
        "-e",
        script,
        `${file}${index}`,
        "tcp://*:{events} tcp://*:{replay} {port}",
      ],
      environment: { SIDE: "{side}" },
      logger: silentLogger,
      onExit() {},
    });
    await expect
      .poll(() => existsSync(`${file}${index}`) && readFileSync(`${file}${index}`, "utf8"))
      .toMatch(/ \d+$/);
    return server;
  };
  const servers = [await start(0), await start(1)];
  const told = servers.map((server, index) => {
    expect(readFileSync(`${file}${index}`, "utf8")).toBe(
      server.fill("tcp://*:{events} tcp://*:{replay} {port} {side}"),
    );
    return server.fill("{events} {replay} {side} {port}").split(" ").map(Number);
  });
  expect(new Set(told.flat()).size).toBe(8);
  await Promise.all(servers.map((server) => server.stop()));
});
