import * as http2 from "node:http2";
import { connect, type Socket } from "node:net";
import { afterEach, expect, test } from "vitest";
import { startRpcServer, type RpcServer } from "./rpc-server.ts";

let server: RpcServer | undefined;
afterEach(async () => {
  await server?.close();
  server = undefined;
});

const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const emptySettings = new Uint8Array([0, 0, 0, 4, 0, 0, 0, 0, 0]);

/** A caller that says hello and then neither answers nor closes, as one whose host has vanished. */
function vanishedCaller(port: number): Promise<Socket> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: "127.0.0.1" }, () => {
      socket.write(preface);
      socket.write(emptySettings);
      resolve(socket);
    });
    socket.on("error", () => {});
    socket.resume();
  });
}

test("the connection of a caller that vanished is closed; one that answers stays", async () => {
  server = await startRpcServer({ host: "127.0.0.1", port: 0, routes: () => {}, silentConnectionMs: 100 });
  const idle = http2.connect(`http://127.0.0.1:${server.port}`);
  let pings = 0;
  idle.on("ping", () => void pings++);
  const vanished = await vanishedCaller(server.port);
  await new Promise((resolve) => vanished.once("close", resolve));
  await expect.poll(() => pings, { timeout: 10_000 }).toBeGreaterThan(3);
  expect(idle.closed || idle.destroyed).toBe(false);
  idle.destroy();
});
