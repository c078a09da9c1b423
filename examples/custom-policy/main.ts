import { createSimulatedEngine } from "@stator/engines/simulated";
import { createOpenAIServer } from "@stator/frontend";
import { createPool } from "@stator/router";
import { closeOnSignal } from "@stator/runtime";
import { preferSpot } from "./policy.ts";

const pool = createPool({
  workers: [createSimulatedEngine({ model: "tiny" }), createSimulatedEngine({ model: "tiny" })],
  policy: preferSpot,
});
const server = createOpenAIServer({ models: { tiny: pool } });
const { url } = await server.listen({ port: Number(process.env["PORT"] ?? 8000) });
console.log(`listening on ${url}`);
await closeOnSignal(server, pool);
