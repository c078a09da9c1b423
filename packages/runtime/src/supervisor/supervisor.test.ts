import { createSupervisor, type SupervisedProcess } from "@stator/runtime";
import { expect, test } from "vitest";

const node = process.execPath;
const restart = { firstMs: 5, longestMs: 20, giveUpAfter: 3 };
const quiet = { onLine: () => {} };

function until(process: SupervisedProcess, condition: () => boolean): Promise<void> {
  return new Promise((resolve) => {
    const check = (): void => {
      if (!condition()) return;
      stop();
      resolve();
    };
    const stop = process.onChange(check);
    check();
  });
}

test("a child is ready when it says so over IPC, and its data arrives", async () => {
  await using supervisor = createSupervisor();
  const child = supervisor.start({
    name: "a",
    command: node,
    args: ["-e", "process.send({ type: 'stator:ready', data: { port: 7 } }); setInterval(() => {}, 1e6)"],
  });
  expect(await child.ready()).toEqual({ port: 7 });
  expect(child.state).toBe("ready");
});

test("a child is ready at the first line that matches, whose groups arrive", async () => {
  await using supervisor = createSupervisor();
  const child = supervisor.start({
    ...quiet,
    name: "a",
    command: node,
    args: ["-e", "console.log('hello'); console.log('listening on 123'); setInterval(() => {}, 1e6)"],
    ready: /listening on (?<port>\d+)/,
  });
  expect(await child.ready()).toMatchObject({ port: "123" });
});

test("a killed child is started again, and why it ended is told", async () => {
  await using supervisor = createSupervisor({ restart });
  const child = supervisor.start({
    name: "a",
    command: node,
    args: ["-e", "process.send({ type: 'stator:ready', data: {} }); setInterval(() => {}, 1e6)"],
  });
  await child.ready();
  const { pid } = child;
  child.signal("SIGSEGV");
  await until(child, () => child.restarts === 1 && child.state === "ready");
  expect(child.pid).not.toBe(pid);
  expect(child.lastExit).toMatchObject({ reason: "crashed", signal: "SIGSEGV" });
});

test("a child that ends with the final code is not started again, and the wait for it fails with its words", async () => {
  await using supervisor = createSupervisor({ restart: { ...restart, finalCode: 2 } });
  const child = supervisor.start({
    ...quiet,
    name: "a",
    command: node,
    args: ["-e", "console.error('no such file'); process.exit(2)"],
  });
  await expect(child.ready()).rejects.toMatchObject({
    code: "RUNTIME_PROCESS_FAILED",
    message: expect.stringContaining("no such file") as string,
  });
  expect(child).toMatchObject({ state: "failed", restarts: 0 });
});

test("a child that fails too often in a row is left alone", async () => {
  await using supervisor = createSupervisor({ restart });
  const child = supervisor.start({
    ...quiet,
    name: "a",
    command: node,
    args: ["-e", "console.error('no GPU'); process.exit(3)"],
  });
  await expect(child.ready()).rejects.toThrow("no GPU");
  expect(child.state).toBe("failed");
  expect(child.lastExit).toMatchObject({ reason: "failed", code: 3, lastLines: ["no GPU"] });
});

test("a missing executable and a child that is never ready are failures with their reasons", async () => {
  await using supervisor = createSupervisor({ restart: { ...restart, giveUpAfter: 0 } });
  const missing = supervisor.start({ name: "a", command: "/no/such/program" });
  await expect(missing.ready()).rejects.toThrow("ENOENT");
  expect(missing.lastExit?.reason).toBe("notSpawned");
  const silent = supervisor.start({
    name: "b",
    command: node,
    args: ["-e", "setInterval(() => {}, 1e6)"],
    readyMs: 50,
  });
  await expect(silent.ready()).rejects.toThrow("notReady");
});

test("stop asks with SIGTERM and kills who does not listen", async () => {
  await using supervisor = createSupervisor();
  const polite = supervisor.start({
    name: "polite",
    command: node,
    args: [
      "-e",
      "process.on('SIGTERM', () => process.exit(0)); process.send({ type: 'stator:ready', data: {} }); setInterval(() => {}, 1e6)",
    ],
  });
  const deaf = supervisor.start({
    name: "deaf",
    command: node,
    args: [
      "-e",
      "process.on('SIGTERM', () => {}); process.send({ type: 'stator:ready', data: {} }); setInterval(() => {}, 1e6)",
    ],
  });
  await Promise.all([polite.ready(), deaf.ready()]);
  await Promise.all([polite.stop(), deaf.stop(50)]);
  expect(polite.lastExit).toMatchObject({ reason: "asked", code: 0 });
  expect(deaf.lastExit).toMatchObject({ reason: "asked", signal: "SIGKILL" });
  expect([polite.state, deaf.state]).toEqual(["stopped", "stopped"]);
});
