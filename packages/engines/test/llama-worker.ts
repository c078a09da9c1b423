// A worker process with one llama engine and its own transfer agent; the parent speaks to it over IPC. With an argument it keeps
// blocks in that directory too.
import { createRequest, type RequestInit, type TokenBatch } from "@stator/core";
import {
  createAgent,
  createHandoffSink,
  createHandoffSource,
  diskTier,
  hostTier,
  tcp,
} from "@stator/kv-transfer";

import { createLlamaEngine } from "../src/llama/llama-engine.ts";
import { tinyModelPath } from "../src/llama/tiny-model.ts";

const [directory] = process.argv.slice(2);
const agent = await createAgent({ transports: [tcp()] });
const engine = await createLlamaEngine({
  modelPath: tinyModelPath(),
  contextTokens: 512,
  transfer: { source: createHandoffSource({ agent }), sink: createHandoffSink({ agent }) },
  ...(directory === undefined
    ? {}
    : { tiers: [hostTier({ budgetBytes: 2 ** 20 }), diskTier({ directory, budgetBytes: 2 ** 26 })] }),
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
