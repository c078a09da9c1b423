/**
 * Our side of the comparison: a frontend over vLLM adapters in one process.
 *
 *   node frontend.ts PORT TOKENIZER URL...
 */
import { createOpenAIServer } from "@stator/frontend";
import { vllm } from "@stator/engines/vllm";
import { createPool, migrating } from "@stator/router";

const [port, tokenizerPath, ...urls] = process.argv.slice(2);
const workers = urls.map((url) => vllm({ url, tokenizerPath: tokenizerPath! }));
await Promise.all(workers.map((worker) => worker.ready()));
const server = createOpenAIServer({ models: { bench: migrating(createPool({ workers })) } });
await server.listen({ port: Number(port) });
process.send?.("ready");
