import type { LlamaContext, LlamaContextSequence, LlamaModel, Token } from "node-llama-cpp";

import { EnginesError } from "../../errors/engines-error.ts";
import { listOf, readGguf } from "../gguf/read-gguf.ts";
import { ggufFacts, llamaCard, type LlamaCard } from "./llama-card.ts";
import { loadLibrary, shareLlama } from "./load-library.ts";
import type { LlamaEngineOptions } from "../options.ts";
import { parseState, type KvLayout } from "../kv/state-file.ts";
import type { StateFolder } from "../kv/state-folder.ts";
import { createStepCounter, type StepCounter } from "../step/step-counter.ts";

/** A model in memory with its one context and all of that context's sequences. */
export interface LoadedModel extends LlamaCard {
  readonly sequences: readonly LlamaContextSequence[];
  /** How KV lies in state files; undefined when this model is served aggregated only. */
  readonly layout: KvLayout | undefined;
  /** Why `layout` is undefined. */
  readonly limit: string | undefined;
  readonly vocabularySize: number;
  /** Whether results must not depend on what shares a batch. */
  readonly isExact: boolean;
  readonly steps: StepCounter;
  close(): Promise<void>;
}

/** Loads a GGUF and looks at a state file of it once, to know how its KV lies. */
export async function loadModel(options: LlamaEngineOptions, folder: StateFolder): Promise<LoadedModel> {
  const { modelPath, sequences: count = 4, blockTokens = 16, batchTokens = 512, threads = 1 } = options;
  const facts = ggufFacts(await readGguf(modelPath), options);
  const exact = options.exact ?? facts.isBundled;
  const library = await loadLibrary();
  const { llama, release } = await shareLlama(library, threads);
  const steps = createStepCounter(batchTokens, exact);
  let model: LlamaModel;
  let context: LlamaContext;
  try {
    model = await llama.loadModel({ modelPath });
    context = await model.createContext({
      contextSize: facts.contextTokens,
      sequences: count,
      batchSize: batchTokens,
      batching: { itemPrioritizationStrategy: steps.strategy },
      ...(exact
        ? {
            flashAttention: false,
            experimentalKvCacheKeyType: "F32" as const,
            experimentalKvCacheValueType: "F32" as const,
          }
        : {}),
    });
  } catch (cause) {
    await release();
    throw new EnginesError({
      code: "ENGINES_MODEL_INVALID",
      kind: "invalid",
      message: `llama.cpp cannot load ${modelPath}: ${cause instanceof Error ? cause.message : String(cause)}`,
      cause,
    });
  }

  // All sequences are taken once and pooled: disposing one while it evaluates poisons its slot.
  const sequences = Array.from({ length: count }, () => context.getSequence());
  let layout: KvLayout | undefined;
  let limit = facts.kvLimit?.sentence;
  if (limit === undefined) {
    try {
      layout = await probeLayout(sequences[0]!, folder);
    } catch (error) {
      if (!EnginesError.isInstance(error)) throw error;
      limit = `${error.message} This engine serves it aggregated only.`;
    }
  }
  const vocabularySize = listOf(facts.header, "tokenizer.ggml.tokens")?.length ?? 0;
  const endIds = endTokens(model, vocabularySize);
  const card = await llamaCard({
    options,
    facts,
    layout,
    blockTokens,
    batchInvariant: exact && threads === 1,
    endIds,
  });
  return {
    ...card,
    sequences,
    layout,
    limit,
    vocabularySize,
    isExact: exact,
    steps,
    async close() {
      await context.dispose();
      await model.dispose();
      await release();
    },
  };
}

async function probeLayout(sequence: LlamaContextSequence, folder: StateFolder): Promise<KvLayout> {
  await sequence.evaluateWithoutGeneratingNewTokens([0 as Token]);
  const file = await folder.read((path) => sequence.saveStateToFile(path));
  await sequence.clearHistory();
  return parseState(file).layout;
}

/** Every id that llama.cpp takes as an end of generation, the model's own `eos` first. */
function endTokens(model: LlamaModel, vocabularySize: number): number[] {
  const ends = model.tokens.eos === null ? [] : [model.tokens.eos];
  for (let id = 0; id < vocabularySize; id++) {
    const token = id as Token;
    if (token !== model.tokens.eos && model.isEogToken(token)) ends.push(token);
  }
  return ends;
}
