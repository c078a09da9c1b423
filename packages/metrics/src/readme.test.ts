import { expect, test } from "vitest";
import { createMetrics } from "@stator/metrics";

test("the README's metrics are exposed", async () => {
  const metrics = createMetrics({ slos: [{ name: "ttft", objective: 0.99, thresholdSeconds: 0.5 }] });
  const refused = metrics.counter({
    name: "guardrail_refused",
    unit: "requests",
    help: "Prompts refused, by rule.",
    labels: ["rule"],
  });
  refused.labels({ rule: "pii" }).add();
  const request = metrics.startRequest({ model: "tiny", endpoint: "chat_completions" });
  request.end({ status: "success" });
  const text = await metrics.expose();
  expect(text).toContain('stator_guardrail_refused_requests_total{rule="pii"} 1');
  expect(text).toContain('stator_frontend_requests_total{model="tiny",endpoint="chat_completions"');
  expect(metrics.contentType).toContain("text/plain");
});
