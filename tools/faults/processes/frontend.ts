// A frontend process of the fault rig: a router of its own and an OpenAI server.
import { createOpenAIServer } from "@stator/frontend";
import { createPool, migrating } from "@stator/router";
import { closeOnSignal, createRuntime, fileDiscovery, notifyReady, watchSupervisor } from "@stator/runtime";

const runtime = await createRuntime({ discovery: fileDiscovery({ dir: process.argv[2]! }) });
const server = createOpenAIServer({
  models: { tiny: migrating(createPool({ workers: runtime.workers({ role: "decode" }) })) },
});
const { url } = await server.listen({ port: 0, host: "127.0.0.1" });
watchSupervisor();
notifyReady({ url });
await closeOnSignal(server, runtime);
process.exit(0);
