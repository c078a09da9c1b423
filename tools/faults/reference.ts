import { createRequest, greedy, type GenerateRequest } from "@stator/core";
import { createSimulatedEngine } from "@stator/engines/simulated";
import { collect, type Collected } from "@stator/testing";
import type { RowContext } from "./row.ts";

/** What requests give where nothing is hurt: an engine of this process, alone. */
export interface Reference {
  of(request: GenerateRequest): Promise<Collected>;
  close(): Promise<void>;
}

export async function createReference(engine: RowContext["engine"]): Promise<Reference> {
  if (engine === "simulated") {
    const alone = createSimulatedEngine({ model: "tiny" });
    return { of: (request) => collect(alone, request), close: () => alone.close() };
  }
  const { createLlamaEngine, tinyModelPath } = await import("@stator/engines/llama");
  const alone = await createLlamaEngine({
    model: "tiny",
    modelPath: tinyModelPath(),
    exact: true,
    contextTokens: 1_024,
    tiers: [],
  });
  return { of: (request) => collect(alone, request), close: () => alone.close() };
}

/** Requests by seed: half of them with prompts long enough to be prefilled apart, half sampled, half greedy. */
export function requestsOf({ random, profile, seed, engine }: RowContext): (n: number) => GenerateRequest {
  const [least, most] = profile.tokens;
  return (n) => {
    const length = Math.floor(n % 2 === 0 ? 300 + 300 * random() : 20 + 100 * random());
    const promptIds = Uint32Array.from({ length }, () => 32 + Math.floor(random() * 90));
    return createRequest({
      id: `s${seed}-r${n}`,
      model: "tiny",
      promptIds,
      sampling: {
        ...greedy,
        seed: BigInt(seed * 1_000_003 + n),
        ...(n % 4 < 2 ? {} : { temperature: 0.8, topP: 0.95, presencePenalty: 0.5 }),
      },
      limits: { maxTokens: least + Math.floor(random() * (most - least + 1)), ignoreEos: engine === "llama" },
    });
  };
}
