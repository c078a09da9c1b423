import { createRequest, type GenerateRequest, type TokenBatch } from "@stator/core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { llamaIfPresent } from "../../test/llama-capability.ts";
import { createLlamaEngine, type LlamaEngine } from "./llama-engine.ts";
import { tinyModelPath } from "./tiny-model.ts";

const isPresent = (await llamaIfPresent()) !== undefined;
const prompt = (seed: number, length: number): Uint32Array =>
  Uint32Array.from({ length }, (_, i) => 3 + ((Math.imul(seed * 131 + i + 1, 2654435761) >>> 9) % 480));
const request = (init: Partial<GenerateRequest> = {}): GenerateRequest =>
  createRequest({
    id: "r",
    model: "tiny",
    promptIds: prompt(1, 70),
    limits: { maxTokens: 60, ignoreEos: true },
    topLogprobs: 3,
    ...init,
  });
const run = async (engine: LlamaEngine, wanted: GenerateRequest): Promise<TokenBatch[]> => {
  const batches: TokenBatch[] = [];
  for await (const batch of engine.generate(wanted, { signal: new AbortController().signal }))
    batches.push(batch);
  return batches;
};
const idsOf = (batches: readonly TokenBatch[]) => batches.flatMap(({ ids }) => [...ids]);
const logprobsOf = (batches: readonly TokenBatch[]) => batches.flatMap(({ logprobs }) => logprobs ?? []);

describe.skipIf(!isPresent)("with exact settings every bit of the log probabilities is the same", () => {
  let alone: TokenBatch[] = [];
  let engine: LlamaEngine;
  beforeAll(async () => {
    engine = await createLlamaEngine({ modelPath: tinyModelPath(), contextTokens: 512, sequences: 4 });
    alone = await run(engine, request());
  });
  afterAll(() => engine.close());

  it("in company of streams and prompts", async () => {
    const others = Array.from({ length: 9 }, (_, i) =>
      run(
        engine,
        request({
          promptIds: prompt(20 + i, 2 + 37 * i),
          limits: { maxTokens: 10 + 3 * i, ignoreEos: true },
        }),
      ),
    );
    expect(logprobsOf(await run(engine, request()))).toEqual(logprobsOf(alone));
    await Promise.all(others);
  });

  it.each([1, 2, 17, 59])("after a resume at output %i", async (cut) => {
    const fresh = await createLlamaEngine({ modelPath: tinyModelPath(), contextTokens: 512, sequences: 1 });
    const resumed = await run(fresh, request({ outputIds: Uint32Array.from(idsOf(alone).slice(0, cut)) }));
    expect(logprobsOf(resumed)).toEqual(logprobsOf(alone).slice(cut));
    await fresh.close();
  });

  it.each([2, 3, 23, 64, 69])("when prompts are computed in chunks of %i tokens", async (batchTokens) => {
    const chunked = await createLlamaEngine({
      modelPath: tinyModelPath(),
      contextTokens: 512,
      sequences: 2,
      batchTokens,
    });
    const [one] = await Promise.all([
      run(chunked, request()),
      run(chunked, request({ promptIds: prompt(9, 33) })),
    ]);
    expect(logprobsOf(one)).toEqual(logprobsOf(alone));
    await chunked.close();
  });

  it("from reused and from handed-over KV", async () => {
    expect(logprobsOf(await run(engine, request()))).toEqual(logprobsOf(alone));
    const [first] = await run(engine, request({ mode: "prefill" }));
    const other = await createLlamaEngine({ modelPath: tinyModelPath(), contextTokens: 512, sequences: 2 });
    const outputIds = Uint32Array.from(first!.handoff!.firstIds);
    const rest = await run(other, request({ handoff: first!.handoff!, outputIds }));
    expect([...logprobsOf([first!]), ...logprobsOf(rest)]).toEqual(logprobsOf(alone));
    await other.close();
  });
});
