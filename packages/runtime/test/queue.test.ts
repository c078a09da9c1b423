import { memoryQueue } from "@stator/runtime";
import { natsQueue } from "@stator/runtime/nats";
import { workQueueCompliance } from "@stator/runtime/testing";
import { afterAll, beforeAll, beforeEach, describe, test } from "vitest";
import { queueBehaviour } from "./queue-behaviour.ts";
import { hasServer, startServer, type ServerProcess } from "@stator/runtime/testing";

describe("memory queue", () => {
  const suite = workQueueCompliance(() => {
    const queue = memoryQueue();
    return Promise.resolve({ queues: [queue, queue], close: () => Promise.resolve() });
  });
  for (const { name, run } of suite) test.concurrent(name, run);
  let queue = memoryQueue();
  beforeEach(() => void (queue = memoryQueue()));
  queueBehaviour(() => queue);
});

describe.runIf(hasServer("nats"))("nats queue", () => {
  let server: ServerProcess;
  let prefixes = 0;
  beforeAll(async () => {
    server = await startServer("nats");
  });
  afterAll(() => server[Symbol.asyncDispose]());

  const suite = workQueueCompliance(() => {
    const options = { servers: `nats://127.0.0.1:${server.port}`, prefix: `suite${(prefixes += 1)}` };
    return Promise.resolve({
      queues: [natsQueue(options), natsQueue(options)],
      close: () => Promise.resolve(),
    });
  });
  for (const { name, run } of suite) test.concurrent(name, run);
  let prefix = "";
  beforeEach(() => void (prefix = `run${(prefixes += 1)}`));
  queueBehaviour(() => natsQueue({ servers: `nats://127.0.0.1:${server.port}`, prefix }));
});
