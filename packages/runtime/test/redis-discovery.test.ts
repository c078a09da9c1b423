import { redisDiscovery } from "@stator/runtime/redis";
import { discoveryCompliance } from "@stator/runtime/testing";
import { Redis } from "ioredis";
import { afterAll, beforeAll, describe, test } from "vitest";
import { staticStability } from "./static-stability.ts";
import { hasServer, startServer, type ServerProcess } from "@stator/runtime/testing";

describe.runIf(hasServer("redis"))("redis discovery", () => {
  let server: ServerProcess;
  let databases = 0;
  beforeAll(async () => {
    server = await startServer("redis", "--databases", "64");
  });
  afterAll(() => server[Symbol.asyncDispose]());

  const suite = discoveryCompliance(async () => {
    const url = `redis://127.0.0.1:${server.port}/${databases}`;
    const prefix = `suite-${(databases += 1)}`;
    const client = new Redis(url);
    return {
      discoveries: [redisDiscovery({ url, prefix }), redisDiscovery({ client, prefix })],
      close: async () => void (await client.quit()),
    };
  });
  for (const { name, run } of suite) test.concurrent(name, run);
});

describe.runIf(hasServer("redis"))("with redis lost", () => {
  let server: ServerProcess;
  beforeAll(async () => {
    server = await startServer("redis");
  });
  afterAll(() => server[Symbol.asyncDispose]());
  staticStability({
    server: () => server,
    discovery: () => redisDiscovery({ url: `redis://127.0.0.1:${server.port}` }),
  });
});
