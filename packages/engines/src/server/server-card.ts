import { contractVersion, hashSchemeXxh3, type ModelCard } from "@stator/core";
import type { ServerDriver, ServerFacts } from "./server-driver.ts";
import type { TokenizerArtifact } from "./tokenizer-artifact.ts";

/** The card of a server: what it tells, what its tokenizer tells, what its kind can, and `overrides` over all of it. */
export function serverCard(
  driver: ServerDriver,
  facts: ServerFacts,
  tokenizer: TokenizerArtifact | undefined,
  overrides: Partial<ModelCard> | undefined,
): ModelCard {
  const { model, blockTokens } = facts;
  const chatTemplate = tokenizer?.card.chatTemplate ?? facts.chatTemplate;
  return {
    model,
    tokenizer: { format: "hf-json", digest: tokenizer?.digest ?? `none:${model}` },
    specialIds: { eos: [] },
    ...tokenizer?.card,
    ...(chatTemplate === undefined ? {} : { chatTemplate }),
    contextTokens: facts.contextTokens,
    blockTokens,
    hashScheme: hashSchemeXxh3,
    weightsDigest: facts.weights ?? `${driver.kind}:${model}`,
    kvLayoutDigest: facts.kvLayout ?? `${driver.kind}:${model}:${blockTokens}`,
    kvGroups: [{ kind: "full_attention" }],
    connectors: facts.connectors ?? driver.connectors,
    resume: driver.resume,
    grammars: driver.grammars,
    batchInvariant: false,
    tasks: ["completion", "chat"],
    adapters: facts.adapters,
    contract: { min: 1, max: contractVersion },
    ...overrides,
  };
}
