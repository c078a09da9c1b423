import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import type { RequestEvent } from "@stator/core";
import { build } from "vite";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Console, createConsole } from "@stator/console";

let page: Console;
let url: string;
const server = createServer((request, response) => page.routes["/console"]?.(request, response));

beforeAll(async () => {
  await build({ configFile: new URL("../web/vite.config.ts", import.meta.url).pathname, logLevel: "error" });
  page = createConsole({ title: "Test", mostPages: 2, intervalMs: 50 });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => {
  page.close();
  server.closeAllConnections();
  server.close();
});

describe("console", () => {
  test("the page comes with a policy that lets nothing in from elsewhere", async () => {
    const response = await fetch(`${url}/console`);
    expect(response.url).toBe(`${url}/console/`);
    expect(response.headers.get("content-security-policy")).toContain("default-src 'none'");
    const html = await response.text();
    const links = [...html.matchAll(/(?:src|href)="([^"]+)"/g)].map((match) => match[1] as string);
    expect(links.length).toBeGreaterThan(2);
    for (const link of links) {
      expect(link.startsWith("./")).toBe(true);
      const file = await fetch(new URL(link, response.url));
      expect(file.status).toBe(200);
      expect(await file.text()).not.toMatch(/https?:\/\/(?!www\.w3\.org)/);
    }
  });

  test("bundled files are kept for good, the page itself is not", async () => {
    const html = await fetch(`${url}/console/`);
    expect(html.headers.get("cache-control")).toBe("no-cache");
    const script = /src="\.\/(assets\/[^"]+)"/.exec(await html.text())?.[1];
    expect((await fetch(`${url}/console/${script}`)).headers.get("cache-control")).toContain("immutable");
  });

  test("only what is bundled is served", async () => {
    for (const path of ["nothing", "../package.json", "%2e%2e/package.json", "assets/../../package.json"]) {
      expect((await fetch(`${url}/console/${path}`)).status).not.toBe(200);
    }
    expect((await fetch(`${url}/console/`, { method: "POST" })).status).toBe(405);
  });

  test("the feed streams what the observer hears, without any text of requests", async () => {
    const abort = new AbortController();
    const response = await fetch(`${url}/console/feed`, { signal: abort.signal });
    expect(response.headers.get("content-type")).toContain("text/event-stream");
    const secret = "sk-canary-0123456789";
    const event = {
      type: "queued",
      where: secret,
      requestId: "r7",
      choice: 0,
      attempt: 0,
      atMs: 1,
      prompt: secret,
    };
    page.observer(event as unknown as RequestEvent);
    let text = "";
    const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
    while (!text.includes("r7")) text += (await reader?.read())?.value ?? "";
    expect(text).toMatch(/^data: \{"title":"Test"/);
    expect(text).not.toContain(secret);
    abort.abort();
  });

  test("more pages than mostPages are asked to wait", async () => {
    const abort = new AbortController();
    const open = await Promise.all(
      [1, 2, 3].map(() => fetch(`${url}/console/feed`, { signal: abort.signal })),
    );
    expect(open.map(({ status }) => status).sort()).toContain(503);
    abort.abort();
  });

  test("options are checked by name", () => {
    expect(() => createConsole({ path: "console" })).toThrow("path");
    expect(() => createConsole({ path: "/console/" })).toThrow("path");
    expect(() => createConsole({ mostRequests: 1 })).toThrow("mostRequests");
    expect(() => createConsole({ mostPages: 0 })).toThrow("mostPages");
    expect(() => createConsole({ intervalMs: 1 })).toThrow("intervalMs");
  });
});
