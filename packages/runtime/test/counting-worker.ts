// A worker process for the tests: yields 1, 2, 3, … with a pause before each, for as long as it is let.
import { defineEngine } from "@stator/core";
import { createRuntime, fileDiscovery, notifyReady, watchSupervisor } from "@stator/runtime";

const [dir = "", id = "worker", pauseMs = "2"] = process.argv.slice(2);
watchSupervisor();

const engine = defineEngine(
  {
    model: "count",
    contextTokens: 10_000_000,
    tokenizer: { json: "{}", digest: "d".repeat(64), specialIds: { eos: [0] } },
  },
  async function* (request, { signal }) {
    console.log(`started ${request.id}`);
    try {
      for (let id = request.outputIds.length + 1; !signal.aborted; id++) {
        await new Promise((resolve) => setTimeout(resolve, Number(pauseMs)));
        yield { ids: [id] };
      }
    } finally {
      console.log(`ended ${request.id}`);
    }
  },
);

const runtime = await createRuntime({ discovery: fileDiscovery({ dir }) });
await runtime.serveEngine(engine, { role: "both", id });
notifyReady();
