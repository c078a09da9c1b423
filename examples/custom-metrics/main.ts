// Metrics of one's own beside Stator's, in one exposition: `npx tsx main.ts`, then `curl localhost:8000/metrics`.
import { createSimulatedEngine } from "@stator/engines/simulated";
import { createOpenAIServer } from "@stator/frontend";
import { createMetrics } from "@stator/metrics";
import { Counter, Registry } from "prom-client";
import { guarded } from "./guardrail.ts";

/** A server that has its own prom-client registry already, with its own metrics in it. */
export function createServer() {
  const registry = new Registry();
  const logins = new Counter({ name: "acme_logins_total", help: "Logins.", registers: [registry] });

  // Stator's metrics join it. The labels of the hierarchy are on every metric of this process.
  const metrics = createMetrics({ registry, hierarchy: { namespace: "acme", component: "gateway" } });

  // A scope for a component: the same meter with labels of its own.
  const meter = metrics.scope({ component: "guardrail" });
  const engine = guarded(createSimulatedEngine({ model: "tiny" }), {
    meter,
    rules: { pii: new Set(), profanity: new Set([42]) },
  });

  // A figure that is read rather than told: set it when somebody looks.
  const queue = metrics
    .gauge({ name: "billing_queue", unit: "requests", help: "Bills not written yet." })
    .labels({});
  metrics.onScrape(() => queue.set(3));

  return { server: createOpenAIServer({ models: { tiny: engine }, metrics }), metrics, logins };
}

if (import.meta.url === `file://${process.argv[1]}`) {
  const { server, logins } = createServer();
  logins.inc();
  const { url } = await server.listen({ port: 8000 });
  console.log(`${url}/metrics`);
}
