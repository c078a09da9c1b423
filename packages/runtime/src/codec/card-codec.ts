import { create } from "@bufbuild/protobuf";
import { KvGroupKind, ModelCardSchema, Task, type ModelCard as Wire } from "@stator/contracts";
import type { KvGroup, ModelCard } from "@stator/core";
import { styles } from "./handoff-codec.ts";
import { given, names } from "./names.ts";
import { grammarKinds } from "./request-codec.ts";

const groupKinds = names<KvGroup["kind"], KvGroupKind>({
  full_attention: KvGroupKind.FULL_ATTENTION,
  sliding_window: KvGroupKind.SLIDING_WINDOW,
  recurrent: KvGroupKind.RECURRENT,
});

const tasks = names<ModelCard["tasks"][number], Task>({
  chat: Task.CHAT,
  completion: Task.COMPLETION,
  embedding: Task.EMBEDDING,
});

export function cardToWire(card: ModelCard): Wire {
  const { specialIds, generationDefaults, connectors, kvGroups } = card;
  return create(ModelCardSchema, {
    model: card.model,
    tokenizer: card.tokenizer,
    ...given("chatTemplate", card.chatTemplate),
    specialIds: { ...specialIds, eos: [...specialIds.eos] },
    ...given("addBos", card.addBos),
    ...given("generationDefaults", generationDefaults),
    contextTokens: card.contextTokens,
    blockTokens: card.blockTokens,
    hashScheme: card.hashScheme,
    weightsDigest: card.weightsDigest,
    kvLayoutDigest: card.kvLayoutDigest,
    kvGroups: kvGroups.map(({ kind, windowTokens }) => ({
      kind: groupKinds.number(kind),
      ...given("windowTokens", windowTokens),
    })),
    connectors: connectors.map(({ name, style, endpoint }) => ({
      name,
      style: styles.number(style),
      ...given("endpoint", endpoint),
    })),
    resume: card.resume,
    batchInvariant: card.batchInvariant,
    tasks: card.tasks.map((task) => tasks.number(task)),
    adapters: [...card.adapters],
    grammars: (card.grammars ?? []).map((kind) => grammarKinds.number(kind)),
    contract: card.contract,
  });
}

export function cardFromWire(wire: Wire): ModelCard {
  const { specialIds, generationDefaults } = wire;
  return {
    model: wire.model,
    tokenizer: { format: "hf-json", digest: wire.tokenizer?.digest ?? "" },
    ...given("chatTemplate", wire.chatTemplate),
    specialIds: {
      eos: specialIds?.eos ?? [],
      ...given("bos", specialIds?.bos),
      ...given("unknown", specialIds?.unknown),
      ...given("pad", specialIds?.pad),
    },
    ...given("addBos", wire.addBos),
    ...given(
      "generationDefaults",
      generationDefaults && {
        ...given("temperature", generationDefaults.temperature),
        ...given("topP", generationDefaults.topP),
        ...given("topK", generationDefaults.topK),
        ...given("minP", generationDefaults.minP),
        ...given("repetitionPenalty", generationDefaults.repetitionPenalty),
      },
    ),
    contextTokens: wire.contextTokens,
    blockTokens: wire.blockTokens,
    hashScheme: wire.hashScheme,
    weightsDigest: wire.weightsDigest,
    kvLayoutDigest: wire.kvLayoutDigest,
    kvGroups: wire.kvGroups.map((group) => ({
      kind: groupKinds.word(group.kind, "recurrent"),
      ...given("windowTokens", group.windowTokens),
    })),
    connectors: wire.connectors.map((connector) => ({
      name: connector.name,
      style: styles.word(connector.style, "sequential"),
      ...given("endpoint", connector.endpoint && new Uint8Array(connector.endpoint)),
    })),
    resume: {
      rng: wire.resume?.rng ?? false,
      penalties: wire.resume?.penalties ?? false,
      grammar: wire.resume?.grammar ?? false,
      logprobs: wire.resume?.logprobs ?? false,
    },
    batchInvariant: wire.batchInvariant,
    tasks: wire.tasks.map((task) => tasks.word(task, "completion")),
    adapters: wire.adapters,
    ...(wire.grammars.length === 0
      ? {}
      : { grammars: wire.grammars.map((kind) => grammarKinds.word(kind, "ebnf")) }),
    contract: { min: wire.contract?.min ?? 1, max: wire.contract?.max ?? 1 },
  };
}
