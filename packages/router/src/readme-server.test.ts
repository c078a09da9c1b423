import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { createRequest, hashSchemeXxh3 } from "@stator/core";
import { afterEach, expect, test } from "vitest";
import { createSelector } from "./selector/index.ts";

const servers: Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) server.close().closeAllConnections();
});

async function listen(server: Server): Promise<string> {
  servers.push(server);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

test("the README's plain Node server keeps prompts with their prefix, and frees every booking", async () => {
  let served = 0;
  const engine = () => createServer((_request, response) => void response.end(`{"n":${++served}}`));
  const urls = new Map([
    ["a", await listen(engine())],
    ["b", await listen(engine())],
  ]);

  const selector = createSelector();
  for (const id of urls.keys()) {
    selector.addWorker(
      {
        id,
        epoch: "1",
        role: "both",
        model: "m",
        capacity: { requests: 64, kvBlocks: 10_000, queue: 64 },
        ranks: 1,
        labels: {},
      },
      { blockTokens: 16, hashScheme: hashSchemeXxh3, adapters: [] },
    );
  }
  const server = createServer((request, response) => {
    void (async () => {
      const { ids } = JSON.parse(await text(request)) as { ids: number[] };
      const prompt = createRequest({ id: randomUUID(), model: "m", promptIds: Uint32Array.from(ids) });
      const booking = selector.book(selector.select(selector.prepare(prompt)));
      try {
        const answer = await fetch(urls.get(booking.worker)!, {
          method: "POST",
          body: JSON.stringify({ ids }),
        });
        booking.prefilled();
        response.setHeader("x-worker", booking.worker).end(await answer.text());
      } catch {
        response.writeHead(502).end();
      } finally {
        booking.free();
      }
    })();
  });
  const url = await listen(server);

  const ask = async (from: number): Promise<string | null> => {
    const ids = Array.from({ length: 320 }, (_, i) => from + i);
    const response = await fetch(url, { method: "POST", body: JSON.stringify({ ids }) });
    expect(response.status).toBe(200);
    return response.headers.get("x-worker");
  };
  const first = await ask(0);
  expect([await ask(0), await ask(0)]).toEqual([first, first]);
  urls.set(first!, "http://127.0.0.1:1");
  const broken = await fetch(url, { method: "POST", body: JSON.stringify({ ids: [...Array(320).keys()] }) });
  expect(broken.status).toBe(502);
  expect(selector.loads().map((load) => load.activeRequests)).toEqual([0, 0]);
});
