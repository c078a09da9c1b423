import { createOpenAIServer } from "@stator/frontend";
import { closeOnSignal } from "@stator/runtime";
import { echo } from "./echo.ts";

const server = createOpenAIServer({ models: { echo } });
const { url } = await server.listen({ port: Number(process.env["PORT"] ?? 8000) });
console.log(`listening on ${url}`);
await closeOnSignal(server);
