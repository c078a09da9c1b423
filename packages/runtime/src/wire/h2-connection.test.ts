import { connect, createServer, type ClientHttp2Session } from "node:http2";
import type { AddressInfo } from "node:net";
import { systemClock } from "@stator/core";
import { afterEach, expect, test, vi } from "vitest";
import { openH2Connection } from "./h2-connection.ts";

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
