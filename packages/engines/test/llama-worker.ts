// A worker process with one llama engine and its own transfer agent; the parent speaks to it over IPC.
import { createRequest, type RequestInit, type TokenBatch } from "@stator/core";
import { createAgent, createHandoffSink, createHandoffSource, tcp } from "@stator/kv-transfer";

import { createLlamaEngine } from "../src/llama/llama-engine.ts";
import { tinyModelPath } from "../src/llama/tiny-model.ts";

const agent = await createAgent({ transports: [tcp()] });
const engine = await createLlamaEngine({
  modelPath: tinyModelPath(),
  contextTokens: 512,
  transfer: { source: createHandoffSource({ agent }), sink: createHandoffSink({ agent }) },
});

process.on("message", (init: RequestInit) => {
  void (async () => {
    try {
      const batches: TokenBatch[] = [];
      for await (const batch of engine.generate(createRequest(init), {
        signal: new AbortController().signal,
      }))
        batches.push(batch);
      process.send?.({ id: init.id, batches });
    } catch (error) {
      process.send?.({ id: init.id, error: String(error) });
    }
  })();
});
process.on("disconnect", () => void engine.close().finally(() => process.exit(0)));
process.send?.({ id: "ready" });
