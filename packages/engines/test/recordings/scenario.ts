import { createRequest, type GenerateRequest, type Handoff, type TokenBatch } from "@stator/core";
import { EnginesError } from "../../src/errors/engines-error.ts";
import type { ServerEngine } from "../../src/server/server-engine.ts";

/** What came of one request. */
export interface Outcome {
  readonly name: string;
  readonly batches: readonly TokenBatch[];
  readonly error?: { readonly code: string; readonly kind: string };
}

export const recordedPrompt: Uint32Array = Uint32Array.from(
  { length: 100 },
  (_, i) => 270 + ((i * 37) % 200),
);

/** One request of each kind that adapters make, so that a recording holds each kind of answer. */
export async function runScenario(
  engine: ServerEngine,
  decode: ServerEngine | undefined,
  /** It lives on after an id beyond its vocabulary; SGLang 0.5.23 does not. */
  refusesUnknownIds: boolean,
): Promise<Outcome[]> {
  await engine.ready();
  await decode?.ready();
  const outcomes: Outcome[] = [];
  const act = async (name: string, init: Partial<GenerateRequest>, at = engine): Promise<Outcome> => {
    const batches: TokenBatch[] = [];
    let outcome: Outcome = { name, batches };
    const request = createRequest({
      id: `recorded-${outcomes.length}`,
      model: "tiny",
      promptIds: recordedPrompt,
      limits: { maxTokens: 8, ignoreEos: true },
      ...init,
    });
    try {
      for await (const batch of at.generate(request, { signal: new AbortController().signal }))
        batches.push(batch);
    } catch (error) {
      if (!EnginesError.isInstance(error)) throw error;
      outcome = { ...outcome, error: { code: error.code, kind: error.kind } };
    }
    outcomes.push(outcome);
    return outcome;
  };

  const greedy = await act("greedy", {});
  const ids = greedy.batches.flatMap((batch) => [...batch.ids]);
  await act("again, from its cache", {});
  await act("log probabilities of two alternatives", { topLogprobs: 2 });
  await act("sampled with a seed of 64 bits", {
    sampling: {
      temperature: 0.8,
      topP: 0.9,
      topK: 40,
      minP: 0.01,
      seed: 0xffff_ffff_ffff_fff0n,
      presencePenalty: 0.1,
      frequencyPenalty: 0.1,
      repetitionPenalty: 1.1,
    },
  });
  await act("ended by a stop id", { limits: { maxTokens: 8, ignoreEos: true, stopIds: [ids[3]!] } });
  await act("a regular expression, ended by the end id", {
    grammar: { kind: "regex", source: "(a|b){2}" },
    limits: { maxTokens: 8 },
  });
  await act("resumed after four tokens", { outputIds: Uint32Array.from(ids.slice(0, 4)) });
  if (refusesUnknownIds)
    await act("an id beyond the vocabulary", { promptIds: Uint32Array.of(270, 4_000_000) });
  await act("an adapter that is not there", { adapter: "absent" });
  if (decode !== undefined) {
    const promptIds = Uint32Array.from(recordedPrompt, (id) => id + 1);
    const { batches } = await act("prefill", { promptIds, mode: "prefill" });
    const handoff = batches.find((batch) => batch.handoff !== undefined)?.handoff as Handoff;
    await act("decode of what was prefilled", { promptIds, handoff }, decode);
    await act("the same by one server", { promptIds }, decode);
  }
  return outcomes;
}
