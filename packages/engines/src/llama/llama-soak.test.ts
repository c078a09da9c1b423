import { createRequest, greedy, type GenerateRequest } from "@stator/core";
import { hostTier } from "@stator/kv-transfer";
import { expect, it } from "vitest";

import { llamaIfPresent } from "../../test/llama-capability.ts";
import { heldBlocks, heldBySnapshot } from "../testing/held-blocks.ts";
import { createLoopback } from "../handoff/loopback.ts";
import { createLlamaEngine, type LlamaEngine } from "./llama-engine.ts";
import { tinyModelPath } from "./tiny-model.ts";

const isPresent = (await llamaIfPresent()) !== undefined;

function createDice(seed: number): (sides: number) => number {
  let state = seed >>> 0;
  return (sides) => ((state = (Math.imul(state, 1664525) + 1013904223) >>> 0) % (sides << 8)) >>> 8;
}

const request = (kind: number): GenerateRequest => {
  const dice = createDice(kind % 5);
  const shared = Array.from({ length: 20 + 30 * (kind % 5) }, () => 3 + dice(480));
  const own = Array.from({ length: 5 + (kind % 40) }, (_, i) => 3 + ((kind * 37 + i * 11) % 480));
  return createRequest({
    id: `${kind}`,
    model: "tiny",
    promptIds: Uint32Array.from([...shared, ...own]),
    limits: { maxTokens: 4 + (kind % 23) },
    sampling: kind % 3 === 0 ? { ...greedy, temperature: 0.9, topP: 0.9, seed: BigInt(kind) } : greedy,
  });
};

async function run(
  engine: LlamaEngine,
  wanted: GenerateRequest,
  abortAfter = Infinity,
): Promise<number[] | undefined> {
  const controller = new AbortController();
  const ids: number[] = [];
  try {
    for await (const batch of engine.generate(wanted, { signal: controller.signal })) {
      ids.push(...batch.ids);
      if (ids.length > abortAfter) controller.abort();
    }
    return ids;
  } catch (error) {
    if (controller.signal.aborted) return undefined;
    throw error;
  }
}

it.skipIf(!isPresent)("says in random company, with aborts and handoffs, what it says alone", async () => {
  const transfer = createLoopback();
  const options = {
    modelPath: tinyModelPath(),
    contextTokens: 256,
    transfer,
    tiers: [hostTier({ budgetBytes: 60 * 8192 })],
    batchTokens: 64,
  };
  const [prefill, decode, alone] = await Promise.all([
    createLlamaEngine({ ...options, sequences: 3 }),
    createLlamaEngine({ ...options, sequences: 2 }),
    createLlamaEngine({ ...options, sequences: 1, tiers: [] }),
  ]);
  const held = heldBlocks(decode);
  const dice = createDice(2026);
  const one = async (): Promise<void> => {
    const wanted = request(dice(60));
    const abortAfter = dice(4) === 0 ? dice(10) : Infinity;
    const isDisaggregated = dice(2) === 0;
    let said: number[] | undefined;
    if (isDisaggregated) {
      for await (const { ids, handoff } of prefill.generate(
        { ...wanted, mode: "prefill" },
        { signal: new AbortController().signal },
      )) {
        const outputIds = Uint32Array.from(handoff?.firstIds ?? []);
        const rest =
          handoff === undefined ? [] : await run(decode, { ...wanted, handoff, outputIds }, abortAfter);
        said = rest && [...ids, ...rest];
      }
    } else said = await run(decode, wanted, abortAfter);
    if (said !== undefined) expect(said).toEqual(await run(alone, wanted));
  };
  const client = async (): Promise<void> => {
    for (let i = 0; i < 20; i++) await one();
  };
  await Promise.all(Array.from({ length: 6 }, client));
  expect(heldBySnapshot(decode.snapshot())).toEqual(held.all);
  await Promise.all([prefill.close(), decode.close(), alone.close()]);
});
