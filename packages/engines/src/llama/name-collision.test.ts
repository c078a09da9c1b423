// Routing names are 64 bits wide: here every block of every prompt gets the same one.
import { createRequest } from "@stator/core";
import { hostTier } from "@stator/kv-transfer";
import { expect, it, vi } from "vitest";

import { llamaIfPresent } from "../../test/llama-capability.ts";
import { createLlamaEngine } from "./llama-engine.ts";
import { tinyModelPath } from "./tiny-model.ts";

vi.mock(import("@stator/core"), async (original) => {
  const core = await original();
  return {
    ...core,
    nameBlocks: (...args: Parameters<typeof core.nameBlocks>) => core.nameBlocks(...args).fill(42n),
  };
});

const isPresent = (await llamaIfPresent()) !== undefined;

it.skipIf(!isPresent)("two prompts forced to one XXH3 name never share KV", async () => {
  const open = (blocks: number) =>
    createLlamaEngine({
      modelPath: tinyModelPath(),
      contextTokens: 128,
      sequences: 1,
      tiers: blocks === 0 ? [] : [hostTier({ budgetBytes: blocks * 8_192 })],
    });
  const [engine, alone] = [await open(64), await open(0)];
  const run = async (on: typeof engine, seed: number): Promise<{ ids: number[]; cached: number }> => {
    const ids: number[] = [];
    let cached = 0;
    const promptIds = Uint32Array.from({ length: 70 }, (_, i) => 3 + ((i * 7 + seed * 131) % 480));
    const request = createRequest({ id: `r${seed}`, model: "tiny", promptIds, limits: { maxTokens: 16 } });
    for await (const batch of on.generate(request, { signal: new AbortController().signal })) {
      cached = batch.cachedTokens ?? cached;
      ids.push(...batch.ids);
    }
    return { ids, cached };
  };
  for (const seed of [1, 2, 3]) expect((await run(engine, seed)).cached).toBe(0);
  for (const seed of [1, 2, 3]) {
    const again = await run(engine, seed);
    expect(again.ids).toEqual((await run(alone, seed)).ids);
    expect(again.cached).toBe(64);
  }
  await Promise.all([engine.close(), alone.close()]);
});
