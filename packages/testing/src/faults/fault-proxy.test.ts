import { connect, createServer, type AddressInfo, type Socket } from "node:net";
import { createVirtualClock } from "@stator/core";
import { afterEach, beforeEach, expect, it } from "vitest";
import { createFaultProxy, type FaultProxy } from "./fault-proxy.ts";

let proxy: FaultProxy;
let stopEcho: () => void;
let echoPort: number;

beforeEach(async () => {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    socket.pipe(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  stopEcho = () => {
    for (const socket of sockets) socket.destroy();
    server.close();
  };
  let seed = 1;
  const random = (): number => (seed = (seed * 48_271) % 2_147_483_647) / 2_147_483_647;
  echoPort = (server.address() as AddressInfo).port;
  proxy = await createFaultProxy({ target: { host: "127.0.0.1", port: echoPort }, random });
});
afterEach(async () => {
  await proxy.close();
  stopEcho();
});

interface Client {
  readonly socket: Socket;
  readonly received: () => Buffer;
  readonly closed: Promise<string>;
  until(bytes: number): Promise<void>;
}

async function open(port: number = proxy.port): Promise<Client> {
  const chunks: Buffer[] = [];
  const socket = connect(port, "127.0.0.1");
  let look = (): void => {};
  socket.on("data", (data) => {
    chunks.push(data);
    look();
  });
  const closed = new Promise<string>((resolve) => {
    socket.on("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? "error"));
    socket.on("close", () => resolve("closed"));
  });
  await Promise.race([new Promise<void>((resolve) => socket.once("connect", resolve)), closed]);
  const received = (): Buffer => Buffer.concat(chunks);
  return {
    socket,
    received,
    closed,
    until: (bytes) =>
      new Promise((resolve) => {
        look = () => {
          if (received().length >= bytes) resolve();
        };
        look();
      }),
  };
}

it("passes bytes in order, sliced and late, unchanged", async () => {
  proxy.set({ latencyMs: 1, jitterMs: 3, sliceBytes: 100 });
  const { socket, received, until } = await open();
  const sent = Buffer.from(Array.from({ length: 5_000 }, (_, i) => i % 251));
  socket.write(sent);
  await until(sent.length);
  expect(received().equals(sent)).toBe(true);
});

it("limits bandwidth", async () => {
  const clock = createVirtualClock();
  const slow = await createFaultProxy({ target: { host: "127.0.0.1", port: echoPort }, clock });
  slow.set({ bytesPerSecond: 1_000 }, "up");
  const { socket, received, until } = await open(slow.port);
  socket.write(Buffer.alloc(100));
  await expect.poll(() => clock.pending).toBe(1);
  clock.advance(99);
  expect(slow.bytes.up).toBe(0);
  clock.advance(1);
  await until(100);
  expect(received()).toHaveLength(100);
  await slow.close();
});

it("resets connections, now or after so many bytes", async () => {
  const first = await open();
  first.socket.write("x");
  await first.until(1);
  proxy.cut();
  expect(await first.closed).toBe("ECONNRESET");
  const second = await open();
  proxy.cut(500);
  second.socket.write(Buffer.alloc(10_000));
  await second.closed;
  expect(second.received().length).toBeLessThanOrEqual(500);
  expect(proxy.connections).toBe(0);
});

it("swallows one direction and leaves the connection open", async () => {
  const { socket, received, until } = await open();
  proxy.set({ isBlackhole: true }, "down");
  socket.write("lost");
  await expect.poll(() => proxy.bytes.up).toBe(4);
  proxy.heal();
  socket.write("heard");
  await until(5);
  expect(received().toString()).toBe("heard");
});

it("stops for what is to happen after so many bytes, flips one bit, and leads elsewhere", async () => {
  const { socket, received, until } = await open();
  let seen = -1;
  proxy.at(100, () => (seen = proxy.bytes.down));
  proxy.flip(150);
  socket.write(Buffer.alloc(200));
  await until(200);
  expect(seen).toBe(100);
  expect([...received().keys()].filter((i) => received()[i] !== 0)).toEqual([150]);
  const other = createServer((peer) => peer.on("error", () => {}).end("other"));
  await new Promise<void>((resolve) => other.listen(0, "127.0.0.1", resolve));
  proxy.lead({ host: "127.0.0.1", port: (other.address() as AddressInfo).port });
  const next = await open();
  await next.until(5);
  expect(next.received().toString()).toBe("other");
  other.close();
});

it("flips bits", async () => {
  proxy.set({ corruptProbability: 1 }, "down");
  const { socket, received, until } = await open();
  socket.write(Buffer.alloc(64));
  await until(64);
  expect(received().equals(Buffer.alloc(64))).toBe(false);
});

it("refuses new connections until it is healed", async () => {
  proxy.refuse();
  expect(await (await open()).closed).not.toBe("");
  proxy.heal();
  const { socket, until } = await open();
  socket.write("x");
  await until(1);
});
