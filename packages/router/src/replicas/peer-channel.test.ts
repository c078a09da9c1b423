import { createServer, type Http2Server, type ServerHttp2Session } from "node:http2";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { connectNodeAdapter, createGrpcTransport } from "@connectrpc/connect-node";
import { afterEach, expect, test } from "vitest";
import { createSelector } from "../selector/create-selector.ts";
import { createRouterService } from "../service/router-service.ts";
import { createPeerChannel, type PeerChannel } from "./peer-channel.ts";

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

async function serve(peers: PeerChannel, port: number = 0): Promise<{ port: number; kill: () => void }> {
  const service = createRouterService({ selector: createSelector(), peers });
  const server: Http2Server = createServer(
    connectNodeAdapter({ routes: (router) => service.routes(router) }),
  );
  const sessions = new Set<ServerHttp2Session>();
  server.on("session", (session) => sessions.add(session));
  const kill = (): void => {
    server.close();
    for (const session of sessions) session.destroy();
  };
  closers.push(kill, () => peers.close());
  server.listen(port, "127.0.0.1");
  await once(server, "listening");
  return { port: (server.address() as AddressInfo).port, kill };
}

function dial(port: number): PeerChannel {
  const peers = createPeerChannel({
    peers: [createGrpcTransport({ baseUrl: `http://127.0.0.1:${port}` })],
  });
  closers.push(() => peers.close());
  return peers;
}

function heard(channel: PeerChannel): string[] {
  const texts: string[] = [];
  channel.subscribe("t", (payload) => texts.push(new TextDecoder().decode(payload)));
  return texts;
}

const say = (channel: PeerChannel, text: string): boolean =>
  channel.publish("t", new TextEncoder().encode(text));

test("two routers hear each other over one stream, and again after a break", async () => {
  const a = createPeerChannel({ peers: [] });
  const server = await serve(a);
  const b = dial(server.port);
  const [atA, atB] = [heard(a), heard(b)];
  await expect.poll(() => say(b, "from b") && atA.length > 0, { timeout: 10_000 }).toBe(true);
  await expect.poll(() => a.links, { timeout: 10_000 }).toBe(1);
  say(a, "from a");
  await expect.poll(() => atB, { timeout: 10_000 }).toContain("from a");
  a.publish("other", new Uint8Array(1));

  server.kill();
  await expect.poll(() => a.links, { timeout: 10_000 }).toBe(0);
  expect(say(a, "lost")).toBe(false);
  await serve(a, server.port);
  await expect.poll(() => say(a, "again") && atB.includes("again"), { timeout: 10_000 }).toBe(true);
  expect(atB).not.toContain("lost");
});
