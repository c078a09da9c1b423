// A server of our own around Stator's API: `npm start`, then POST http://127.0.0.1:8000/v1/chat/completions with the key "secret".
import { createApp } from "./fastify.ts";

const app = await createApp(process.env["API_KEY"] ?? "secret");
console.log(`listening on ${await app.listen({ port: Number(process.env["PORT"] ?? 8000) })}`);
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => void app.close());
