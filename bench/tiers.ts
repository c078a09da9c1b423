// What KV tiers are worth to the llama engine: time to the first token of a prompt whose sequence was taken for another one,
// computed again, read back from host memory, and read back from disk (through the page cache). Ids are compared each time.
// The bundled model computes a prompt so fast that tiers hardly matter; the larger one is made by the same script, in a
// temporary folder.
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { createRequest } from "@stator/core";
import { createLlamaEngine, tinyModelPath, type LlamaEngine } from "@stator/engines/llama";
import { diskTier, hostTier, type TierPlugin } from "@stator/kv-transfer";
import { makeTinyModel } from "../tools/make-tiny-model.mjs";

const contextTokens = 4_352;
const outputTokens = 4;

interface Row {
  readonly model: string;
  readonly promptTokens: number;
  readonly kvMegabytes: number;
  /** Medians, to the first token. */
  readonly prefillMs: number;
  readonly hostMs: number;
  readonly diskMs: number;
  readonly hostSpeedup: number;
  readonly diskSpeedup: number;
  readonly identical: boolean;
}

function promptOf(seed: number, length: number): Uint32Array {
  return Uint32Array.from(
    { length },
    (_, i) => 3 + ((Math.imul(seed * 131 + i + 1, 2654435761) >>> 9) % 480),
  );
}

async function answer(
  engine: LlamaEngine,
  promptIds: Uint32Array,
): Promise<{ readonly firstMs: number; readonly ids: string; readonly cachedTokens: number }> {
  const request = createRequest({
    id: "bench",
    model: "bench",
    promptIds,
    limits: { maxTokens: outputTokens, ignoreEos: true },
  });
  const startMs = performance.now();
  let firstMs: number | undefined;
  let cachedTokens = 0;
  const ids: number[] = [];
  for await (const batch of engine.generate(request, { signal: new AbortController().signal })) {
    firstMs ??= performance.now() - startMs;
    cachedTokens = batch.cachedTokens ?? cachedTokens;
    ids.push(...batch.ids);
  }
  return { firstMs: firstMs!, ids: ids.join(" "), cachedTokens };
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1]!;
}

const round = (value: number): number => Math.round(value * 100) / 100;

/** One engine with one sequence: every prompt takes it from the one before. */
async function measure(
  modelPath: string,
  tiers: readonly TierPlugin[],
  { lengths, rounds }: { readonly lengths: readonly number[]; readonly rounds: number },
): Promise<{ freshMs: number; againMs: number; identical: boolean; cached: boolean }[]> {
  const engine = await createLlamaEngine({ modelPath, contextTokens, sequences: 1, exact: true, tiers });
  await answer(engine, promptOf(99, 64));
  const results = [];
  for (const length of lengths) {
    const [fresh, again]: [number[], number[]] = [[], []];
    let identical = true;
    let cached = true;
    for (let seed = 0; seed < rounds; seed++) {
      const prompt = promptOf(1_000 * length + seed, length);
      const first = await answer(engine, prompt);
      await answer(engine, promptOf(7 + seed, 32));
      const second = await answer(engine, prompt);
      await answer(engine, promptOf(77 + seed, 32));
      fresh.push(first.firstMs);
      again.push(second.firstMs);
      identical &&= first.ids === second.ids && first.cachedTokens === 0;
      cached &&= second.cachedTokens === Math.floor((length - 1) / 16) * 16;
    }
    results.push({ freshMs: median(fresh), againMs: median(again), identical, cached });
  }
  await engine.close();
  return results;
}

async function rowsOf(
  model: string,
  modelPath: string,
  directory: string,
  tokenBytes: number,
  plan: { readonly lengths: readonly number[]; readonly rounds: number },
): Promise<Row[]> {
  const budgetBytes = 2 ** 31;
  const host = await measure(modelPath, [hostTier({ budgetBytes })], plan);
  const disk = await measure(modelPath, [diskTier({ directory, budgetBytes })], plan);
  return plan.lengths.map((promptTokens, i) => {
    const [h, d] = [host[i]!, disk[i]!];
    const prefillMs = Math.min(h.freshMs, d.freshMs);
    return {
      model,
      promptTokens,
      kvMegabytes: round((promptTokens * tokenBytes) / 1e6),
      prefillMs: round(prefillMs),
      hostMs: round(h.againMs),
      diskMs: round(d.againMs),
      hostSpeedup: round(prefillMs / h.againMs),
      diskSpeedup: round(prefillMs / d.againMs),
      identical: h.identical && d.identical && h.cached && d.cached,
    };
  });
}

export async function run(): Promise<{ readonly rows: readonly Row[] }> {
  const folder = await mkdtemp(path.join(tmpdir(), "stator-bench-tiers-"));
  try {
    const large = { width: 512, layers: 8, heads: 8, kvHeads: 2, hidden: 1_536 };
    const largePath = path.join(folder, "large.gguf");
    await writeFile(largePath, makeTinyModel({ name: "stator-bench-24m", shape: large }));
    const tiny = await rowsOf("tiny (0.1 M)", tinyModelPath(), path.join(folder, "tiny"), 2 * 2 * 32 * 4, {
      lengths: [256, 1_024, 4_096],
      rounds: 5,
    });
    const slow = await rowsOf("random (24 M)", largePath, path.join(folder, "large"), 2 * 8 * 128 * 4, {
      lengths: [256, 1_024, 2_048],
      rounds: 3,
    });
    return { rows: [...tiny, ...slow] };
  } finally {
    await rm(folder, { recursive: true });
  }
}
