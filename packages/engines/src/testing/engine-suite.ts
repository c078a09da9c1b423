import { createRequest, type Engine, type GenerateRequest, type TokenBatch } from "@stator/core";

import { generationCases } from "./generation-cases.ts";
import { kvCases } from "./kv-cases.ts";
import { refusalCases } from "./refusal-cases.ts";

/** An engine under test. */
export interface EngineFixture {
  /** A fresh engine with an empty cache; closed by the suite where it has `close`. */
  create(): Engine | Promise<Engine>;
  /** Ids that the model takes as ordinary text; another seed shares no prefix of a block. */
  prompt(seed: number, tokens: number): Uint32Array;
}

/** What a case works with. */
export interface EngineCaseContext {
  readonly fixture: EngineFixture;
  engine(): Promise<Engine>;
  /** A greedy request of 40 prompt tokens for 24 output tokens that no end id ends, unless said. */
  request(init?: Partial<GenerateRequest>): GenerateRequest;
}

/** One behaviour; `run` throws where the engine does not have it, and returns a reason where the card does not claim it. */
export interface EngineCase {
  readonly name: string;
  run(context: EngineCaseContext): Promise<string | void>;
}

export interface BoundEngineCase {
  readonly name: string;
  /** Resolves to why the case does not apply, if so. */
  run(): Promise<string | void>;
}

/**
 * The compliance suite of the `Engine` seam, for any test runner:
 * `for (const { name, run } of engineSuite(fixture)) it(name, async () => void (await run()))`.
 */
export function engineSuite(fixture: EngineFixture): readonly BoundEngineCase[] {
  const cases: readonly EngineCase[] = [...generationCases, ...refusalCases, ...kvCases];
  return cases.map(({ name, run }) => ({
    name,
    async run() {
      const engines: Engine[] = [];
      try {
        return await run({
          fixture,
          async engine() {
            const engine = await fixture.create();
            engines.push(engine);
            return engine;
          },
          request: (init) =>
            createRequest({
              id: "suite",
              model: "suite",
              promptIds: fixture.prompt(1, 40),
              limits: { maxTokens: 24, ignoreEos: true },
              ...init,
            }),
        });
      } finally {
        await Promise.all(engines.map((engine) => engine.close?.()));
      }
    },
  }));
}

/** All batches of one request. */
export async function batchesOf(engine: Engine, request: GenerateRequest): Promise<TokenBatch[]> {
  const batches: TokenBatch[] = [];
  for await (const batch of engine.generate(request, { signal: new AbortController().signal }))
    batches.push(batch);
  return batches;
}

export function idsOf(batches: readonly TokenBatch[]): number[] {
  return batches.flatMap(({ ids }) => [...ids]);
}
