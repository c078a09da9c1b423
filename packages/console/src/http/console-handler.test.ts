import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, test } from "vitest";
import { systemClock } from "@stator/core";
import { createFeed } from "../feed/feed.ts";
import { consoleHandler } from "./console-handler.ts";

test("without a bundle the page says how to make one, and the feed works", async () => {
  const feed = createFeed({
    title: "Test",
    workers: [],
    mostRequests: 10,
    intervalMs: 100,
    clock: systemClock,
  });
  const server = createServer(consoleHandler({ feed, app: new Map(), path: "/console", mostReaders: 1 }));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/console`;
  const response = await fetch(`${url}/`);
  expect([response.status, await response.text()]).toEqual([503, expect.stringContaining("npm run bundle")]);
  const abort = new AbortController();
  expect((await fetch(`${url}/feed`, { signal: abort.signal })).status).toBe(200);
  abort.abort();
  feed.close();
  server.closeAllConnections();
  server.close();
});
