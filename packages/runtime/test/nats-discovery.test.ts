import { natsDiscovery } from "@stator/runtime/nats";
import { discoveryCompliance } from "@stator/runtime/testing";
import { afterAll, beforeAll, describe, test } from "vitest";
import { hasServer, startServer, type ServerProcess } from "@stator/runtime/testing";
import { staticStability } from "./static-stability.ts";

describe.runIf(hasServer("nats"))("nats discovery", () => {
  let server: ServerProcess;
  let prefixes = 0;
  beforeAll(async () => {
    server = await startServer("nats");
  });
  afterAll(() => server[Symbol.asyncDispose]());

  const suite = discoveryCompliance(() => {
    const options = { servers: `nats://127.0.0.1:${server.port}`, prefix: `suite${(prefixes += 1)}` };
    return Promise.resolve({
      discoveries: [natsDiscovery(options), natsDiscovery(options)],
      close: () => Promise.resolve(),
    });
  });
  for (const { name, run } of suite) test.concurrent(name, run);
});

describe.runIf(hasServer("nats"))("with nats lost", () => {
  let server: ServerProcess;
  beforeAll(async () => {
    server = await startServer("nats");
  });
  afterAll(() => server[Symbol.asyncDispose]());
  staticStability({
    server: () => server,
    discovery: () => natsDiscovery({ servers: `nats://127.0.0.1:${server.port}` }),
  });
});
