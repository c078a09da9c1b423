import { afterAll, beforeAll, expect, test } from "vitest";
import { createServer } from "./main.ts";

const { server, metrics, logins } = createServer();
let url: string;
beforeAll(async () => {
  ({ url } = await server.listen({ port: 0 }));
});
afterAll(() => server.close());

const complete = (prompt: string | number[]): Promise<Response> =>
  fetch(`${url}/v1/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ model: "tiny", prompt, max_tokens: 4 }),
  });

test("one exposition has the server's metrics, the guardrail's and Stator's", async () => {
  logins.inc();
  expect((await complete([5, 6, 7])).status).toBe(200);
  expect((await complete([5, 42, 7])).status).toBe(400);
  const text = await (await fetch(`${url}/metrics`)).text();
  expect(text).toContain("acme_logins_total 1");
  expect(text).toContain(
    'stator_guardrail_refused_requests_total{namespace="acme",component="guardrail",rule="profanity"} 1',
  );
  expect(text).toContain(
    'stator_guardrail_refused_requests_total{namespace="acme",component="guardrail",rule="pii"} 0',
  );
  expect(text).toContain('stator_guardrail_check_seconds_count{namespace="acme",component="guardrail"} 2');
  expect(text).toContain('stator_billing_queue_requests{namespace="acme",component="gateway"} 3');
  expect(text).toMatch(
    /stator_frontend_requests_total\{namespace="acme",component="gateway",model="tiny",endpoint="completions",stream="false",status="success",error_type=""\} 1/,
  );
});

test("labels are typed, and a wrong name is told the right one", () => {
  const hits = metrics.counter({ name: "hits", help: "Hits.", labels: ["tenant"] });
  // @ts-expect-error the label is called tenant
  hits.labels({ tenent: "a" });
  expect(() => metrics.histogram({ name: "rank_ms", help: "Time.", buckets: [1] })).toThrow(
    'use name: "rank" and unit: "seconds"',
  );
});
