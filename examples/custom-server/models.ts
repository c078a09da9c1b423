import type { Engine } from "@stator/core";
import { createSimulatedEngine } from "@stator/engines/simulated";

/** Any engines under any names; real ones come from `@stator/engines/vllm`, `./sglang`, `./trtllm`, `./llama`, or a pool of them. */
export const models: Record<string, Engine> = {
  tiny: createSimulatedEngine({ model: "tiny", endProbability: 0.02 }),
};
