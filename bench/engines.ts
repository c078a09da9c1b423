// What the engines themselves cost, in one process without a server: tokens per second of the simulated engine at zero step
// time, and of the llama engine on the bundled model alone, in company, sampled, and with KV reused or handed over.
import { createRequest, greedy, type Engine, type RequestInit, type Sampling } from "@stator/core";
import { createLlamaEngine, tinyModelPath } from "@stator/engines/llama";
import { createSimulatedEngine } from "@stator/engines/simulated";

const sampled: Sampling = { ...greedy, temperature: 0.8, topP: 0.95, seed: 7n };

function promptOf(seed: number, length: number, vocabulary: number): Uint32Array {
  return Uint32Array.from(
    { length },
    (_, i) => 3 + ((Math.imul(seed * 131 + i + 1, 2654435761) >>> 9) % vocabulary),
  );
}

async function count(engine: Engine, init: RequestInit): Promise<number> {
  let tokens = 0;
  for await (const { ids } of engine.generate(createRequest(init), { signal: new AbortController().signal }))
    tokens += ids.length;
  return tokens;
}

interface Load {
  readonly streams: number;
  readonly tokens: number;
  readonly sampling?: Sampling;
  readonly vocabulary: number;
}

async function tokensPerSecond(
  engine: Engine,
  { streams, tokens, sampling = greedy, vocabulary }: Load,
): Promise<number> {
  let best = 0;
  for (let round = 0; round < 4; round++) {
    const start = performance.now();
    const counts = await Promise.all(
      Array.from({ length: streams }, (_, i) =>
        count(engine, {
          id: `${round}-${i}`,
          model: "bench",
          promptIds: promptOf(round * 1000 + i, 100, vocabulary),
          limits: { maxTokens: tokens, ignoreEos: true },
          sampling,
        }),
      ),
    );
    best = Math.max(best, counts.reduce((a, b) => a + b, 0) / ((performance.now() - start) / 1000));
  }
  return Math.round(best);
}

async function simulated(): Promise<Record<string, number>> {
  const engine = createSimulatedEngine();
  engine.onStatus(() => {});
  return {
    greedy64Streams: await tokensPerSecond(engine, { streams: 64, tokens: 2000, vocabulary: 90 }),
    greedy1Stream: await tokensPerSecond(engine, { streams: 1, tokens: 20_000, vocabulary: 90 }),
    sampled64Streams: await tokensPerSecond(engine, {
      streams: 64,
      tokens: 2000,
      sampling: sampled,
      vocabulary: 90,
    }),
  };
}

async function timedMs(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await work();
  return Math.round((performance.now() - start) * 100) / 100;
}

async function llama(): Promise<Record<string, number>> {
  let startMs = performance.now();
  const engine = await createLlamaEngine({ modelPath: tinyModelPath() });
  startMs = Math.round(performance.now() - startMs);
  const decode = await createLlamaEngine({ modelPath: tinyModelPath() });
  const limits = { maxTokens: 1 };
  const long = { id: "long", model: "bench", promptIds: promptOf(9, 2000, 480), limits };
  await count(engine, { ...long, promptIds: promptOf(8, 2000, 480) });
  const coldMs = await timedMs(() => count(engine, long));
  const warmMs = await timedMs(() => count(engine, long));
  const prefilled = [];
  const two = { ...long, promptIds: promptOf(10, 2000, 480), limits: { maxTokens: 2 } };
  const prefillMs = await timedMs(async () => {
    const request = createRequest({ ...two, mode: "prefill" });
    for await (const batch of engine.generate(request, { signal: new AbortController().signal }))
      prefilled.push(batch.handoff!);
  });
  const handoff = prefilled[0]!;
  const handedOverMs = await timedMs(() =>
    count(decode, { ...two, handoff, outputIds: Uint32Array.from(handoff.firstIds) }),
  );
  const result = {
    startMs,
    greedy1Stream: await tokensPerSecond(engine, { streams: 1, tokens: 500, vocabulary: 480 }),
    greedy4Streams: await tokensPerSecond(engine, { streams: 4, tokens: 500, vocabulary: 480 }),
    sampled4Streams: await tokensPerSecond(engine, {
      streams: 4,
      tokens: 500,
      sampling: sampled,
      vocabulary: 480,
    }),
    prefill2000TokensColdMs: coldMs,
    prefill2000TokensReusedMs: warmMs,
    prefill2000TokensAndOfferMs: prefillMs,
    decodeFromHandoff2000TokensMs: handedOverMs,
  };
  await Promise.all([engine.close(), decode.close()]);
  return result;
}

export async function run(): Promise<unknown> {
  return { simulatedTokensPerSecond: await simulated(), llama: await llama() };
}
