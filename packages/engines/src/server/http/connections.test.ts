import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { createServer as createNetServer, type AddressInfo, type Socket } from "node:net";
import { text } from "node:stream/consumers";
import { afterEach, describe, expect, test } from "vitest";
import { createConnections, type Connections } from "./connections.ts";

const closing: (() => void)[] = [];
afterEach(() => {
  for (const close of closing.splice(0)) close();
});

async function serve(handle: (request: IncomingMessage, response: ServerResponse) => void): Promise<string> {
  const server = createServer(handle);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  closing.push(() => {
    server.close();
    server.closeAllConnections();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}
async function serveRaw(handle: (socket: Socket) => void): Promise<string> {
  const server = createNetServer(handle);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  closing.push(() => void server.close());
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}
function connectionsTo(url: string): Connections {
  const connections = createConnections(url);
  closing.push(() => connections.close());
  return connections;
}
function post(
  connections: Connections,
  headers: Record<string, string> = {},
  body = "{}",
): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    let status = 0;
    let got = "";
    connections.post("/v1?x=1", headers, Buffer.from(body), {
      onHead: (told) => (status = told),
      onBody: (bytes, start, end) => (got += bytes.toString("utf8", start, end)),
      onRead: () => {},
      onEnd: () => resolve({ status, body: got }),
      onFailure: reject,
    });
  });
}
const socketOf = new WeakMap<object, number>();
let sockets = 0;
const numberOf = (socket: object): number => {
  if (!socketOf.has(socket)) socketOf.set(socket, sockets++);
  return socketOf.get(socket)!;
};

describe("connections to a server", () => {
  test("carry one request after another, and side by side as many as are asked", async () => {
    const seen: number[] = [];
    const url = await serve((request, response) => {
      seen.push(numberOf(request.socket));
      void text(request).then((body) => response.end(`${request.url} ${body}`));
    });
    const connections = connectionsTo(url);
    for (let i = 0; i < 3; i++)
      expect(await post(connections, {}, `${i}`)).toEqual({ status: 200, body: `/v1?x=1 ${i}` });
    expect(new Set(seen).size).toBe(1);
    const many = await Promise.all(Array.from({ length: 5 }, (_, i) => post(connections, {}, `${i}`)));
    expect(many.map(({ body }) => body)).toEqual(Array.from({ length: 5 }, (_, i) => `/v1?x=1 ${i}`));
    expect(new Set(seen).size).toBe(5);
  });

  test("say ids of clients without letting them write fields of their own", async () => {
    const url = await serve((request, response) => response.end(JSON.stringify(request.headers)));
    const { body } = await post(connectionsTo(url), { "x-request-id": "a\r\nauthorization: b\u0000é" });
    const headers = JSON.parse(body) as Record<string, string>;
    expect(headers["x-request-id"]).toBe("a__authorization: b__");
    expect(headers).not.toHaveProperty("authorization");
  });

  test("take another one where the server closed the one that waited", async () => {
    let requests = 0;
    const url = await serveRaw((socket) => {
      socket.on("error", () => {});
      let isUsed = false;
      socket.on("data", () => {
        // Answers one request on each connection, and resets it with the second.
        if (isUsed) return void socket.resetAndDestroy();
        isUsed = true;
        requests += 1;
        socket.write("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
      });
    });
    const connections = connectionsTo(url);
    for (let i = 0; i < 4; i++) expect(await post(connections)).toEqual({ status: 200, body: "ok" });
    expect(requests).toBe(4);
  });

  test("fail when a fresh one is closed without a word, or in the middle", async () => {
    const silent = await serveRaw((socket) => void socket.once("data", () => socket.destroy()));
    await expect(post(connectionsTo(silent))).rejects.toThrow(/closed|reset/i);
    const cut = await serveRaw(
      (socket) =>
        void socket.once("data", () =>
          socket.end("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nab"),
        ),
    );
    await expect(post(connectionsTo(cut))).rejects.toThrow(/closed/);
  });

  test("are left for good by a caller that leaves, and untouched by one that leaves too late", async () => {
    const gone: number[] = [];
    const url = await serve((request, response) => {
      response.on("close", () => {
        if (!response.writableFinished) gone.push(numberOf(request.socket));
      });
      if (request.headers["x-hang"] === undefined) response.end("ok");
    });
    const connections = connectionsTo(url);
    const told: string[] = [];
    const sink = {
      onHead: () => {},
      onBody: () => {},
      onRead: () => {},
      onEnd: () => void told.push("end"),
      onFailure: () => void told.push("failure"),
    };
    connections.post("/", { "x-hang": "1" }, Buffer.from(""), sink).leave();
    const call = connections.post("/", {}, Buffer.from(""), sink);
    await expect.poll(() => told).toEqual(["end"]);
    // The connection is somebody else's by now.
    const hanging = connections.post("/", { "x-hang": "1" }, Buffer.from(""), sink);
    call.leave();
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(told).toEqual(["end"]);
    hanging.leave();
    await expect.poll(() => gone.length).toBeGreaterThan(0);
    expect(told).toEqual(["end"]);
  });
});
