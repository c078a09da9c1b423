// One process with both ends; in production the guardrail runs in a process of its own with the same two lines.
import { createSimulatedEngine } from "@stator/engines/simulated";
import { createOpenAIServer } from "@stator/frontend";
import { closeOnSignal, createRuntime } from "@stator/runtime";
import { GuardrailService } from "./gen/guardrail_pb.ts";
import { guarded } from "./guarded.ts";
import { guardrail } from "./guardrail.ts";

const runtime = await createRuntime();
await runtime.serveService(GuardrailService, guardrail([...new TextEncoder().encode("secret")]));

const engine = guarded(createSimulatedEngine({ model: "tiny" }), runtime);
const server = createOpenAIServer({ models: { tiny: engine } });
const { url } = await server.listen({ port: Number(process.env["PORT"] ?? 8000) });
console.log(`listening on ${url}`);
await closeOnSignal(server, runtime);
