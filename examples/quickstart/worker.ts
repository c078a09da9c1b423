// One engine process: `npm run worker -- prefill`, and in another terminal `npm run worker -- decode`.
import { createLlamaEngine, tinyModelPath } from "@stator/engines/llama";
import { closeOnSignal, createRuntime, fileDiscovery } from "@stator/runtime";

const role = process.argv[2] === "prefill" ? "prefill" : "decode";
const runtime = await createRuntime({ discovery: fileDiscovery() });
const engine = await createLlamaEngine({ model: "tiny", modelPath: tinyModelPath() });
const served = await runtime.serveEngine(engine, { role });
console.log(`${role} worker ${served.worker.id} is ready`);
await closeOnSignal(runtime, engine);
