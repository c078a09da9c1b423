// The frontend process: `npm start`, on PORT or 8000.
import { createOpenAIServer } from "@stator/frontend";
import { createMetrics } from "@stator/metrics";
import { closeOnSignal, createRuntime, fileDiscovery } from "@stator/runtime";
import { graph } from "./graph.ts";

const metrics = createMetrics();
const runtime = await createRuntime({ discovery: fileDiscovery(), metrics });
const server = createOpenAIServer({ models: graph(runtime), metrics });
const { url } = await server.listen({ port: Number(process.env["PORT"] ?? 8000) });
console.log(`listening on ${url}`);
await closeOnSignal(server, runtime); // drains, then closes, in this order
