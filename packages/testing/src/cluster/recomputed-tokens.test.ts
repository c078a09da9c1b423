import { createRequest, createVirtualClock, greedy, type Engine, type GenerateRequest } from "@stator/core";
import { createLlamaEngine, tinyModelPath, type LlamaEngine } from "@stator/engines/llama";
import { linearStepTime } from "@stator/engines/simulated";
import { createPool, disaggregated, migrating, uncachedTokensAbove } from "@stator/router";
import { afterEach, describe, expect, it } from "vitest";
import { createTestCluster, type TestCluster } from "./test-cluster.ts";

/** A move of a request whose prompt another worker than the dead one had computed. */
interface Move {
  readonly id: string;
  /** Tokens computed again, beyond the output so far. */
  readonly recomputedOver: number;
}
interface Run {
  readonly ids: readonly number[];
  readonly moves: readonly Move[];
}

async function runWatched(
  engine: Engine,
  request: GenerateRequest,
  onToken?: (tokens: number) => void,
): Promise<Run> {
  const ids: number[] = [];
  const moves: Move[] = [];
  let hasCopy = false;
  const output = engine.generate(request, {
    signal: new AbortController().signal,
    onEvent(event) {
      if (event.type === "prefilled" && event.attempt === 0) hasCopy = true;
      if (event.type === "migrated" && event.outcome === "resumed" && hasCopy)
        moves.push({ id: request.id, recomputedOver: event.recomputedTokens - ids.length });
    },
  });
  for await (const batch of output) {
    ids.push(...batch.ids);
    onToken?.(ids.length);
  }
  return { ids, moves };
}

const blockTokens = 16;
const promptOf = (seed: number, length: number): Uint32Array =>
  Uint32Array.from({ length }, (_, i) => 32 + ((seed * 37 + i * 7 + ((i * seed) % 11)) % 90));
/** Prompts of a rig: of every length around the threshold, half of them behind one shared beginning. */
const requestOf = (n: number, maxTokens = 24): GenerateRequest => {
  const own = promptOf(n + 1, 210 + ((n * 53) % 190));
  if (n % 2 === 1) own.set(promptOf(99, 160));
  return createRequest({
    id: `r${n}`,
    model: "tiny",
    promptIds: own,
    limits: { maxTokens },
    sampling: { ...greedy, temperature: 0.8, seed: BigInt(n) },
  });
};

const hasLlama = await createLlamaEngine({
  modelPath: tinyModelPath(),
  contextTokens: 64,
  sequences: 1,
}).then(
  async (engine) => (await engine.close(), true),
  (error: unknown) => {
    if (process.env["STATOR_REQUIRE"]?.split(",").includes("native") === true) throw error;
    console.log(`skipped: ${String(error)}`);
    return false;
  },
);

let cluster: TestCluster | undefined;
afterEach(async () => {
  await cluster?.close();
  cluster = undefined;
});

describe("after a decode worker's death", () => {
  it("what prefill still holds is pulled from there, however long its queue: computed again are the output and one block", async () => {
    const clock = createVirtualClock();
    // Prefill is dear and its workers are busy: by cost alone the one that lacks the prompt often seems the better one.
    const pace = { stepTime: linearStepTime({ baseMs: 10, perPrefillTokenMs: 1 }) };
    cluster = await createTestCluster({
      clock,
      workers: [
        { role: "decode", count: 4, engine: pace },
        { role: "prefill", count: 2, engine: pace },
      ],
    });
    const pool = (role: "prefill" | "decode"): ReturnType<typeof createPool> =>
      createPool({ workers: cluster!.runtime.workers({ role }), clock, name: role });
    const graph = migrating(
      disaggregated({
        prefill: pool("prefill"),
        decode: pool("decode"),
        when: uncachedTokensAbove(200),
        clock,
      }),
      { clock },
    );
    const runs: Promise<Run>[] = [];
    let sent = 0;
    const client = async (): Promise<void> => {
      while (sent < 64) {
        const run = runWatched(graph, requestOf(sent++, 80));
        runs.push(run);
        await run;
      }
    };
    const all = Promise.all(Array.from({ length: 8 }, client));
    // Each of the four twice: a death may find a worker with nothing to lose.
    for (let i = 0; i < 8; i++) {
      const name = `decode-${i % 4}`;
      clock.schedule(1_500 + 1_250 * i, () => cluster!.kill(name));
      clock.schedule(2_500 + 1_250 * i, () => void cluster!.restart(name));
    }
    await clock.run(all);
    const ended = await Promise.all(runs);
    for (const [i, { ids }] of ended.entries())
      expect(ids).toEqual((await cluster.undisturbed(requestOf(i, 80))).ids);
    const moves = ended.flatMap((run) => run.moves);
    expect(moves.length).toBeGreaterThan(3);
    expect(moves.filter(({ recomputedOver }) => recomputedOver > blockTokens)).toEqual([]);
  });

  it.skipIf(!hasLlama)("the same with llama.cpp, whose KV leaves its engines as blocks", async () => {
    const make = (worker: string): Promise<LlamaEngine> =>
      createLlamaEngine({
        modelPath: tinyModelPath(),
        model: "tiny",
        worker,
        contextTokens: 1_024,
        exact: true,
      });
    const prefills = await Promise.all(["p0", "p1"].map(make));
    const decodes = await Promise.all(["d0", "d1", "d2"].map(make));
    const alone = await make("alone");
    const pools = {
      prefill: createPool({ workers: prefills, name: "prefill" }),
      decode: createPool({ workers: decodes, name: "decode" }),
    };
    const graph = migrating(disaggregated({ ...pools, when: uncachedTokensAbove(200) }));
    const request = (n: number): GenerateRequest => ({
      ...requestOf(n, 48),
      limits: { maxTokens: 48, ignoreEos: true },
    });
    let tokens = 0;
    const all = Array.from({ length: 12 }, (_, n) =>
      runWatched(graph, request(n), () => {
        // In the middle of most of them.
        if (++tokens === 160) void decodes[0]!.close();
      }),
    );
    const ended = await Promise.all(all);
    for (const [n, { ids }] of ended.entries())
      expect(ids).toEqual((await runWatched(alone, request(n))).ids);
    const moves = ended.flatMap((run) => run.moves);
    expect(moves.length).toBeGreaterThan(0);
    expect(moves.filter(({ recomputedOver }) => recomputedOver > blockTokens)).toEqual([]);
    for (const pool of Object.values(pools)) await pool.close();
    await Promise.all([...prefills, ...decodes, alone].map((engine) => engine.close()));
  });
});
