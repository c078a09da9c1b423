import { Code, ConnectError } from "@connectrpc/connect";
import { StatorError } from "@stator/core";
import { createRuntime, fileDiscovery } from "@stator/runtime";
import { expect, test } from "vitest";
import { Greeter } from "./greeter.ts";
import { workerProcesses } from "./worker-processes.ts";

test("a service of one's own is called through the runtime, in the same process without a socket", async () => {
  await using runtime = await createRuntime();
  await using served = await runtime.serveService(Greeter, {
    greet: ({ value }) => ({ value: `hello ${value}` }),
    async *count() {
      yield { value: "1" };
      await Promise.resolve();
      yield { value: "2" };
    },
  });
  const client = runtime.client(Greeter);
  expect((await client.greet({ value: "you" })).value).toBe("hello you");
  const counted: string[] = [];
  for await (const { value } of client.count({})) counted.push(value);
  expect(counted).toEqual(["1", "2"]);
  await served.close();
  await expect(client.greet({ value: "you" })).rejects.toMatchObject({ code: "RUNTIME_SERVICE_UNAVAILABLE" });
});

test("a service's own errors reach the caller: a StatorError with its kind and code, a ConnectError as it is", async () => {
  await using runtime = await createRuntime();
  await runtime.serveService(Greeter, {
    greet() {
      throw new StatorError({ code: "RUDE", kind: "invalid", message: "no", data: { word: "x" } });
    },

    async *count() {
      await Promise.resolve();
      throw new ConnectError("mine", Code.OutOfRange);
    },
  });
  const client = runtime.client(Greeter);
  await expect(client.greet({})).rejects.toMatchObject({
    code: "RUDE",
    kind: "invalid",
    data: { word: "x" },
  });
  await expect(client.count({})[Symbol.asyncIterator]().next()).rejects.toMatchObject({
    code: Code.OutOfRange,
  });
});

test("deployments of one service are told apart by name", async () => {
  await using runtime = await createRuntime();
  await runtime.serveService(Greeter, { greet: () => ({ value: "a" }) }, { name: "a" });
  expect((await runtime.client(Greeter, { name: "a" }).greet({})).value).toBe("a");
  await expect(runtime.client(Greeter).greet({})).rejects.toMatchObject({ kind: "unavailable" });
});

test("calls go to all instances; when one is killed, calls go on at the others", async () => {
  await using processes = await workerProcesses();
  await using runtime = await createRuntime({ discovery: fileDiscovery({ dir: processes.dir }) });
  const [victim] = await Promise.all([
    processes.run("greeter-process.ts", "one"),
    processes.run("greeter-process.ts", "two"),
  ]);
  const client = runtime.client(Greeter);
  const answered = new Set<string>();
  while (answered.size < 2) answered.add((await client.greet({ value: "x" })).value);
  expect([...answered].sort()).toEqual(["one: hello x", "two: hello x"]);

  victim.signal("SIGKILL");
  for (let i = 0; i < 20; i++) {
    const { value } = await client.greet({ value: "y" });
    if (victim.state === "stopped") expect(value).toBe("two: hello y");
  }
});

test("a stream whose process is killed fails, and is no cancellation of ours", async () => {
  await using processes = await workerProcesses();
  await using runtime = await createRuntime({ discovery: fileDiscovery({ dir: processes.dir }) });
  const victim = await processes.run("greeter-process.ts", "one");
  const stream = runtime.client(Greeter).count({})[Symbol.asyncIterator]();
  expect((await stream.next()).value?.value).toBe("0");
  victim.signal("SIGKILL");
  let error: unknown;
  try {
    while ((await stream.next()).done !== true);
  } catch (thrown) {
    error = thrown;
  }
  expect(error).toMatchObject({ kind: "unavailable" });
});
