import { createServer, type AddressInfo, type Socket } from "node:net";
import { createRuntime } from "@stator/runtime";
import { redisDiscovery } from "@stator/runtime/redis";
import { expect, test } from "vitest";

/** As much of Redis as discovery needs, which stops answering SUBSCRIBE when told to. */
async function silentRedis(): Promise<{
  port: number;
  subscribes: () => number;
  fallSilent(): void;
  close(): void;
}> {
  const sockets = new Set<Socket>();
  let isSilent = false;
  let subscribes = 0;
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => {}).on("close", () => sockets.delete(socket));
    socket.on("data", (data) => {
      for (const word of data
        .toString()
        .toLowerCase()
        .matchAll(/\*\d+\r\n\$\d+\r\n([a-z]+)/g)) {
        const command = word[1];
        if (command === "subscribe") {
          subscribes += 1;
          if (!isSilent) socket.write("*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n");
        } else if (command === "hello") socket.write("-ERR unknown command 'HELLO'\r\n");
        else if (command === "info") socket.write("$21\r\nredis_version:7.0.0\r\n\r\n");
        else if (command === "scan") socket.write("*2\r\n$1\r\n0\r\n*0\r\n");
        else if (command === "ping") socket.write("*2\r\n$4\r\npong\r\n$0\r\n\r\n");
        else socket.write("+OK\r\n");
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    port: (server.address() as AddressInfo).port,
    subscribes: () => subscribes,
    fallSilent() {
      isSilent = true;
      for (const socket of sockets) socket.destroy();
    },
    close() {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}

test("a Redis that answers no more in the moment of a reconnection does not end the process", async () => {
  const redis = await silentRedis();
  const unhandled: unknown[] = [];
  const note = (reason: unknown): void => void unhandled.push(reason);
  process.on("unhandledRejection", note);
  try {
    await using runtime = await createRuntime({
      discovery: redisDiscovery({ url: `redis://127.0.0.1:${redis.port}` }),
      deadlines: { redisCommandMs: 100 },
    });
    runtime.workers();
    await expect.poll(redis.subscribes).toBeGreaterThan(0);
    const before = redis.subscribes();
    redis.fallSilent();
    // It asks again and again, and each time it is not answered within `redisCommandMs`.
    await expect.poll(redis.subscribes, { timeout: 20_000 }).toBeGreaterThan(before + 1);
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(unhandled).toEqual([]);
  } finally {
    process.off("unhandledRejection", note);
    redis.close();
  }
});
