import { connect, createServer, type ClientHttp2Session } from "node:http2";
import { createServer as createTcpServer, type AddressInfo, type Socket } from "node:net";
import { create } from "@bufbuild/protobuf";
import { FetchRequestSchema } from "@stator/contracts";
import { createVirtualClock, systemClock } from "@stator/core";
import { afterEach, expect, test, vi } from "vitest";
import { openH2Connection } from "./h2-connection.ts";
import { openH2Link } from "./h2-link.ts";

afterEach(() => void vi.restoreAllMocks());

test("a connection that is cut in the moment it is established fails, and nothing is thrown outside", async () => {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const thrown: unknown[] = [];
  const note = (error: unknown): void => void thrown.push(error);
  process.on("uncaughtException", note);
  const other = connect(`http://127.0.0.1:${port}`);
  const prototype = Object.getPrototypeOf(other) as ClientHttp2Session;
  const emit = prototype.emit.bind.bind(prototype.emit) as unknown as (
    session: ClientHttp2Session,
  ) => (...args: unknown[]) => boolean;
  // What a reset does that arrives with the connection itself: the session is gone when it is told of.
  vi.spyOn(prototype, "emit").mockImplementation(function (this: ClientHttp2Session, ...args: unknown[]) {
    if (args[0] === "connect" && this !== other) this.destroy();
    return emit(this)(...args);
  });
  const connection = openH2Connection({
    authority: `http://127.0.0.1:${port}`,
    clock: systemClock,
    connectMs: 5_000,
  });
  await expect(connection.request("POST", "/", {}, {})).rejects.toThrow();
  await expect.poll(() => connection.isOver).toBe(true);
  expect(thrown).toEqual([]);
  process.off("uncaughtException", note);
  other.destroy();
  server.close();
});

test("a peer that reads nothing does not keep the socket of a connection that is closed", async () => {
  const sockets: Socket[] = [];
  const server = createTcpServer({ pauseOnConnect: true }, (socket) => void sockets.push(socket));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const connection = openH2Connection({
    authority: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    clock: systemClock,
    connectMs: 5_000,
  });
  // More heads than the socket takes: the rest of them is being written from here on.
  for (let i = 0; i < 2_000; i++) {
    const stream = await connection.request("POST", `/${"x".repeat(8_000)}`, {}, {});
    stream.on("error", () => {});
  }
  await expect.poll(() => sockets.length).toBe(1);
  connection.close();
  await expect.poll(() => connection.isOver).toBe(true);
  // Only a socket that is gone on the other side too ends here.
  const [peer] = sockets;
  const gone = new Promise((resolve) => peer!.on("error", () => {}).once("close", resolve));
  peer!.resume();
  await gone;
  server.close();
});

test("a fetch over a connection that carries nothing ends by itself, and gives the connection up", async () => {
  let accepted = 0;
  let closed = 0;
  const server = createTcpServer((socket) => {
    accepted += 1;
    socket.on("error", () => {}).on("close", () => (closed += 1));
    socket.resume();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const clock = createVirtualClock();
  const authority = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const link = openH2Link({ authority, clock, connectMs: 1_000 });
  const fetched = (async () => {
    for await (const piece of link.fetch(create(FetchRequestSchema, {}), new AbortController().signal))
      void piece;
  })();
  const failure = fetched.catch((error: unknown) => error);
  // The session's connection and the one for what is big.
  await expect.poll(() => accepted).toBe(2);
  await new Promise((resolve) => setImmediate(resolve));
  await clock.pass(5_000);
  expect(await failure).toBeInstanceOf(Error);
  await expect.poll(() => closed).toBe(1);
  link.close();
  await expect.poll(() => closed).toBe(2);
  server.close();
});
