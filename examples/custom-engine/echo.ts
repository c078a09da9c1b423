// An engine of one's own: anything that yields token ids. This one says the prompt again.
import { defineEngine, type Engine } from "@stator/core";
import { simulatedTokenizer } from "@stator/engines/simulated";

const tokenizer = simulatedTokenizer(); // byte-level; bring your model's own tokenizer.json instead

export const echo: Engine = defineEngine(
  { model: "echo", contextTokens: 4096, tokenizer },
  async function* (request) {
    for (const id of request.promptIds) yield { ids: [id] };
  },
);
