import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createSimulatedEngine, linearStepTime } from "@stator/engines/simulated";
import { createOpenAIServer, type OpenAIServer } from "@stator/frontend";
import { runLoad } from "./load.ts";

let server: OpenAIServer;
let url: string;
beforeAll(async () => {
  server = createOpenAIServer({
    models: { tiny: createSimulatedEngine({ stepTime: linearStepTime({ baseMs: 1 }) }) },
  });
  ({ url } = await server.listen({ port: 0 }));
});
afterAll(() => server.close());

describe("runLoad", () => {
  test("closed loop: counts every request, token and latency", async () => {
    const report = await runLoad({ url, requests: 20, concurrency: 5, outputTokens: 8, inputWords: 12 });
    expect(report).toMatchObject({ model: "tiny", mode: "closed", requests: 20, failed: 0, errors: {} });
    expect(report.outputTokens).toMatchObject({ count: 20, mean: 8, max: 8 });
    // Bytes that make one character together come as one piece.
    expect(report.itlMs.count).toBeGreaterThan(100);
    expect(report.itlMs.count).toBeLessThanOrEqual(20 * 7);
    expect(report.ttftMs.p50).toBeGreaterThan(0);
    expect(report.goodputPerSecond).toBe(report.requestsPerSecond);
  });

  test("open loop: sends at its own pace and judges by the SLO", async () => {
    const report = await runLoad({
      url,
      endpoint: "completions",
      requests: 15,
      ratePerSecond: 200,
      outputTokens: 4,
      slo: { ttftMs: 0 },
    });
    expect(report).toMatchObject({ mode: "open", requests: 15, failed: 0, goodputPerSecond: 0 });
  });

  test("prompts that share words find them cached", async () => {
    const report = await runLoad({
      url,
      requests: 10,
      concurrency: 1,
      inputWords: 64,
      sharedWords: 56,
      outputTokens: 2,
      seed: 7,
    });
    expect(report.cachedRatio).toBeGreaterThan(0.5);
  });

  test("failures are counted by what they were", async () => {
    const broken = createServer((request, response) => {
      if (request.url === "/v1/models") response.end(JSON.stringify({ data: [{ id: "m" }] }));
      else response.writeHead(503).end();
    });
    await new Promise<void>((resolve) => broken.listen(0, "127.0.0.1", resolve));
    const report = await runLoad({
      url: `http://127.0.0.1:${(broken.address() as AddressInfo).port}`,
      requests: 4,
    });
    expect(report).toMatchObject({ requests: 4, failed: 4, errors: { "HTTP 503": 4 } });
    broken.close();
    broken.closeAllConnections();
  });

  test("an aborted run ends with what it has, and a missing server says so", async () => {
    const controller = new AbortController();
    const running = runLoad({
      url,
      concurrency: 12,
      requests: 12,
      outputTokens: 5000,
      inputWords: 4,
      signal: controller.signal,
    });
    await expect.poll(() => server.activeRequests, { timeout: 20_000 }).toBe(12);
    controller.abort();
    const report = await running;
    expect(report.failed).toBe(12);
    await expect(runLoad({ url: "http://127.0.0.1:1" })).rejects.toMatchObject({
      code: "LOAD_SERVER_UNREACHABLE",
    });
  });
});
