// Everything in one process: a runtime without sockets, simulated workers, and the server.
import { createSimulatedEngine } from "@stator/engines/simulated";
import { createOpenAIServer } from "@stator/frontend";
import { closeOnSignal, createRuntime } from "@stator/runtime";
import { graph } from "./graph.ts";

const runtime = await createRuntime();
await runtime.serveEngine(createSimulatedEngine({ model: "small" }), { role: "both" });
await runtime.serveEngine(createSimulatedEngine({ model: "large" }), { role: "prefill" });
await runtime.serveEngine(createSimulatedEngine({ model: "large" }), { role: "decode" });

const server = createOpenAIServer({ models: graph(runtime) });
const { url } = await server.listen({ port: Number(process.env["PORT"] ?? 8000) });
console.log(`listening on ${url}`);
await closeOnSignal(server, runtime);
