import { describe, it } from "vitest";

import { llamaIfPresent } from "../../test/llama-capability.ts";
import { hostTier } from "@stator/kv-transfer";
import { createLlamaEngine, tinyModelPath } from "../llama/index.ts";
import { createSimulatedEngine } from "../simulated/index.ts";
import { engineSuite, type EngineFixture } from "./engine-suite.ts";

const isLlamaPresent = (await llamaIfPresent()) !== undefined;
const prompt =
  (least: number, most: number): EngineFixture["prompt"] =>
  (seed, tokens) =>
    Uint32Array.from(
      { length: tokens },
      (_, i) => least + ((Math.imul(seed * 131 + i + 1, 2654435761) >>> 9) % (most - least)),
    );

const fixtures: { name: string; isPresent: boolean; fixture: EngineFixture }[] = [
  {
    name: "simulated",
    isPresent: true,
    fixture: {
      create: () => createSimulatedEngine({ contextTokens: 512, kvBlocks: 40 }),
      prompt: prompt(33, 126),
    },
  },
  {
    name: "llama",
    isPresent: isLlamaPresent,
    fixture: {
      create: () =>
        createLlamaEngine({
          modelPath: tinyModelPath(),
          contextTokens: 512,
          sequences: 2,
          tiers: [hostTier({ budgetBytes: 30 * 8192 })],
        }),
      prompt: prompt(3, 480),
    },
  },
];

for (const { name, isPresent, fixture } of fixtures) {
  describe.skipIf(!isPresent)(name, () => {
    for (const { name: behaviour, run } of engineSuite(fixture)) {
      it(behaviour, async ({ skip }) => {
        const inapplicable = await run();
        if (typeof inapplicable === "string") skip(inapplicable);
      });
    }
  });
}
