import { createServer, type AddressInfo } from "node:net";
import { create } from "@bufbuild/protobuf";
import { RegistrationSchema } from "@stator/contracts";
import {
  classifyFailure,
  createHealthGroup,
  createRequest,
  silentLogger,
  systemClock,
  type TokenBatch,
  type WorkerHandle,
} from "@stator/core";
import { createRuntime, fileDiscovery, RuntimeError } from "@stator/runtime";
import { expect, test } from "vitest";
import { joined, left, workerProcesses } from "./worker-processes.ts";

function start(handle: WorkerHandle, id: string, signal: AbortSignal = new AbortController().signal) {
  const promptIds = Uint32Array.of(1);
  const batches = handle.engine.generate(
    createRequest({ id, model: "count", promptIds, limits: { maxTokens: 1_000_000 } }),
    { signal },
  );
  return batches[Symbol.asyncIterator]();
}

async function untilEnd(iterator: AsyncIterator<TokenBatch>): Promise<unknown> {
  try {
    for (;;) if ((await iterator.next()).done === true) return undefined;
  } catch (error) {
    return error;
  }
}

function condition(handle: WorkerHandle, wanted: string): Promise<void> {
  return new Promise((resolve) => {
    const check = (): void => {
      if (handle.health.condition !== wanted) return;
      stop();
      resolve();
    };
    const stop = handle.health.onChange(check);
    check();
  });
}

test("a SIGKILLed worker: its streams fail at once as cut, never as cancelled, and its neighbour goes on", async () => {
  await using processes = await workerProcesses();
  await using runtime = await createRuntime({
    discovery: fileDiscovery({ dir: processes.dir }),
    deadlines: { registrationTtlMs: 2_500 },
  });
  const source = runtime.workers({ model: "count" });
  const [victim] = await Promise.all([processes.start("victim"), processes.start("neighbour")]);
  const handle = await joined(source, "victim");
  const neighbour = await joined(source, "neighbour");
  const signal = new AbortController().signal;
  const streams = [1, 2, 3].map((i) => start(handle, `r${i}`, signal));
  const other = start(neighbour, "other");
  for (const stream of [...streams, other])
    expect((await stream.next()).value).toMatchObject({ firstIndex: 0 });

  const gone = left(source, "victim");
  victim.signal("SIGKILL");
  for (const stream of streams) {
    const error = await untilEnd(stream);
    expect(RuntimeError.isInstance(error) && error.kind).toBe("unavailable");
    expect(classifyFailure(error, signal)).toBe("cut");
  }
  expect(handle.health.isSelectable).toBe(false);
  expect((await other.next()).done).toBe(false);
  expect(neighbour.health.isSelectable).toBe(true);
  await gone;
  await other.return?.();
});

test("a frozen worker is found silent, its streams fail, and after the thaw it has aborted them", async () => {
  await using processes = await workerProcesses();
  await using runtime = await createRuntime({ discovery: fileDiscovery({ dir: processes.dir }) });
  const source = runtime.workers({ model: "count" });
  const [victim] = await Promise.all([processes.start("victim"), processes.start("neighbour")]);
  const handle = await joined(source, "victim");
  await joined(source, "neighbour");
  const signal = new AbortController().signal;
  const stream = start(handle, "frozen", signal);
  await stream.next();

  const silent = condition(handle, "silent");
  victim.signal("SIGSTOP");
  const error = await untilEnd(stream);
  await silent;
  expect(RuntimeError.isInstance(error) && error.code).toBe("RUNTIME_WORKER_SILENT");
  expect(classifyFailure(error, signal)).toBe("silent");
  expect(handle.health.isSelectable).toBe(false);

  victim.signal("SIGCONT");
  await processes.printed("ended frozen");
});

test("a record whose address answers nothing holds up neither the start nor the workers that are there", async () => {
  await using processes = await workerProcesses();
  // What a rollout leaves: the records of dead workers, one at an address that swallows, one at a closed port.
  const mute = createServer(() => {});
  await new Promise<void>((resolve) => mute.listen(0, "127.0.0.1", resolve));
  const discovery = fileDiscovery({ dir: processes.dir });
  const { deadlines } = createHealthGroup();
  const store = await discovery.open({
    namespace: "default",
    clock: systemClock,
    deadlines,
    logger: silentLogger,
    onAnswer: () => {},
  });
  for (const [id, port] of [
    ["mute", (mute.address() as AddressInfo).port],
    ["closed", 9],
  ] as const) {
    const record = create(RegistrationSchema, {
      id,
      epoch: "1",
      address: `http://127.0.0.1:${port}`,
      subject: { case: "worker", value: {} },
    });
    await store.put(record, { claim: true });
  }
  await processes.start("worker");
  await using runtime = await createRuntime({ discovery });
  const handle = await joined(runtime.workers(), "worker");
  expect(runtime.workers().current()).toEqual([handle]);
  const stream = start(handle, "served");
  expect((await stream.next()).done).toBe(false);
  await stream.return?.();
  await store.close();
  mute.close();
});

test("cancelling reaches the engine, and only the cancelled request ends", async () => {
  await using processes = await workerProcesses();
  await using runtime = await createRuntime({ discovery: fileDiscovery({ dir: processes.dir }) });
  await processes.start("worker");
  const handle = await joined(runtime.workers());
  const controller = new AbortController();
  const doomed = start(handle, "doomed", controller.signal);
  const left = start(handle, "left");
  const kept = start(handle, "kept");
  await Promise.all([doomed.next(), left.next(), kept.next()]);
  controller.abort();
  const error = await untilEnd(doomed);
  expect(classifyFailure(error, controller.signal)).toBe("cancelled");
  await left.return?.();
  await processes.printed("ended doomed");
  await processes.printed("ended left");
  expect((await kept.next()).done).toBe(false);
  await kept.return?.();
});

test("a caller that goes without a goodbye: the worker ends its requests", async () => {
  await using processes = await workerProcesses();
  await processes.start("worker");
  {
    // The caller's end without a goodbye: its sockets are destroyed.
    await using caller = await createRuntime({ discovery: fileDiscovery({ dir: processes.dir }) });
    const stream = start(await joined(caller.workers()), "orphan");
    await stream.next();
  }
  await processes.printed("ended orphan");
});
