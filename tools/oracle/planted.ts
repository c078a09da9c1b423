import {
  wrapEngine,
  type Engine,
  type GenerateOptions,
  type GenerateRequest,
  type TokenBatch,
} from "@stator/core";
import type { CellOptions } from "./run-cell.ts";
import type { Cell } from "./cells.ts";

/** A defect of a resume, planted to see that the oracle catches it. */
export interface Planted {
  readonly name: string;
  readonly options: CellOptions;
}

/** Resumed attempts of the engine go through `spoil`; first ones are as they are. */
function resumedThrough(
  spoil: (engine: Engine, request: GenerateRequest, options: GenerateOptions) => AsyncIterable<TokenBatch>,
): (engine: Engine) => Engine {
  return (engine) =>
    wrapEngine(engine, {
      generate: (request, options) =>
        request.outputIds.length > 0 ? spoil(engine, request, options) : engine.generate(request, options),
    });
}

async function* dropFirst(
  engine: Engine,
  request: GenerateRequest,
  options: GenerateOptions,
): AsyncGenerator<TokenBatch> {
  let isDropped = false;
  for await (const batch of engine.generate(request, options)) {
    const skip = !isDropped && batch.ids.length > 0 ? 1 : 0;
    yield { ...batch, firstIndex: batch.firstIndex - (isDropped ? 1 : 0), ids: batch.ids.slice(skip) };
    isDropped ||= skip === 1;
  }
}

async function* outputsAsPrompt(
  engine: Engine,
  request: GenerateRequest,
  options: GenerateOptions,
): AsyncGenerator<TokenBatch> {
  const known = request.outputIds.length;
  const promptIds = new Uint32Array(request.promptIds.length + known);
  promptIds.set(request.promptIds);
  promptIds.set(request.outputIds, request.promptIds.length);
  const limits = { ...request.limits, maxTokens: request.limits.maxTokens - known };
  for await (const batch of engine.generate(
    { ...request, promptIds, outputIds: new Uint32Array(0), limits },
    options,
  )) {
    yield { ...batch, firstIndex: batch.firstIndex + known };
  }
}

export const planted: readonly Planted[] = [
  { name: "an id is dropped", options: { spoil: resumedThrough(dropFirst) } },
  { name: "outputs are sent as prompt under penalties", options: { spoil: resumedThrough(outputsAsPrompt) } },
  {
    name: "the sampler is seeded anew",
    options: {
      spoil: resumedThrough((engine, request, options) =>
        engine.generate(
          { ...request, sampling: { ...request.sampling, seed: request.sampling.seed + 1n } },
          options,
        ),
      ),
    },
  },
  {
    name: "a block is stale",
    options: {
      onFault(cluster, struck) {
        for (const { name, engine } of cluster.workers) {
          if (name === struck) continue;
          const stored = engine.snapshot().events.filter((event) => event.type === "stored");
          for (const { sequenceHashes } of stored.slice(0, 1)) engine.corruptBlock(sequenceHashes[0]!);
        }
      },
    },
  },
];

/** Where each is planted. */
export const plantedCells: readonly Cell[] = [3, 17, 40].flatMap((index) =>
  (["chat", "completions"] as const).map((api): Cell => ({
    index,
    fault: "kill",
    sampling: "seeded",
    delivery: "stream",
    api,
  })),
);
