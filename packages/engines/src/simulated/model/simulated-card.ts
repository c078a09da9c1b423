import { contractVersion, hashSchemeXxh3, type ModelCard, type TokenizerFile } from "@stator/core";

import { blockConnector } from "../../handoff/offer-book.ts";
import type { SimulatedEngineOptions } from "../options.ts";

/** What a simulated engine says about itself: everything that it really does. */
export function simulatedCard(options: SimulatedEngineOptions, tokenizer: TokenizerFile): ModelCard {
  const {
    model = "simulated",
    contextTokens = 32_768,
    blockTokens = 16,
    weightsSeed = 0,
    adapters = [],
  } = options;
  return {
    model,
    tokenizer: { format: "hf-json", digest: tokenizer.digest },
    ...(tokenizer.chatTemplate === undefined ? {} : { chatTemplate: tokenizer.chatTemplate }),
    specialIds: tokenizer.specialIds,
    addBos: false,
    contextTokens,
    blockTokens,
    hashScheme: hashSchemeXxh3,
    weightsDigest: `simulated-${weightsSeed}`,
    kvLayoutDigest: `simulated-${weightsSeed}-${blockTokens}`,
    kvGroups: [{ kind: "full_attention" }],
    connectors: [{ name: blockConnector, style: "sequential" }],
    resume: { rng: true, penalties: true, grammar: false, logprobs: true },
    batchInvariant: true,
    tasks: ["chat", "completion"],
    adapters,
    contract: { min: 1, max: contractVersion },
  };
}
