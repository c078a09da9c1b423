import { fork } from "node:child_process";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { createRequest, type RequestInit, type TokenBatch } from "@stator/core";
import { diskTier, hostTier } from "@stator/kv-transfer";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

import { llamaIfPresent } from "../../test/llama-capability.ts";
import { heldBlocks } from "../testing/held-blocks.ts";
import { createLlamaEngine, type LlamaEngine } from "./llama-engine.ts";
import type { LlamaEngineOptions } from "./options.ts";
import { tinyModelPath } from "./tiny-model.ts";

const isPresent = (await llamaIfPresent()) !== undefined;
const blockBytes = 8_192;
const prompt = (seed: number, length = 100): number[] => {
  let state = seed >>> 0;
  return Array.from(
    { length },
    () => 3 + (((state = (Math.imul(state, 1664525) + 1013904223) >>> 0) >>> 8) % 480),
  );
};
const init = (seed: number): RequestInit => ({
  id: `r${seed}`,
  model: "tiny",
  promptIds: Uint32Array.from(prompt(seed)),
  limits: { maxTokens: 12 },
});

describe.skipIf(!isPresent)("KV tiers of the llama engine", () => {
  let directory = "";
  const open: LlamaEngine[] = [];
  beforeEach(async () => {
    directory = await mkdtemp(path.join(tmpdir(), "stator-llama-tiers-"));
  });
  afterEach(async () => {
    await Promise.all(open.splice(0).map((engine) => engine.close()));
    await rm(directory, { recursive: true });
  });
  const make = async (tiers: LlamaEngineOptions["tiers"]): Promise<LlamaEngine> => {
    const engine = await createLlamaEngine({
      modelPath: tinyModelPath(),
      contextTokens: 256,
      sequences: 1,
      ...(tiers === undefined ? {} : { tiers }),
    });
    open.push(engine);
    return engine;
  };
  const run = async (engine: LlamaEngine, seed: number): Promise<{ ids: number[]; cached: number }> => {
    const batches: TokenBatch[] = [];
    const request = createRequest(init(seed));
    for await (const batch of engine.generate(request, { signal: new AbortController().signal }))
      batches.push(batch);
    return { ids: batches.flatMap(({ ids }) => [...ids]), cached: batches[0]?.cachedTokens ?? 0 };
  };
  const disk = (): ReturnType<typeof diskTier> => diskTier({ directory, budgetBytes: 2 ** 24 });

  it.each([
    ["host memory", () => undefined],
    ["a disk", () => [disk()]],
    [
      "a disk under a host memory too small for them",
      () => [hostTier({ budgetBytes: 2 * blockBytes }), disk()],
    ],
  ])("a prompt whose sequence was taken comes back from %s with the same tokens", async (_, tiers) => {
    const engine = await make(tiers());
    const held = heldBlocks(engine);
    const fresh = [];
    for (let seed = 0; seed < 6; seed++) fresh.push(await run(engine, seed));
    expect(fresh.map(({ cached }) => cached)).toEqual([0, 0, 0, 0, 0, 0]);
    for (let seed = 0; seed < 6; seed++) {
      const again = await run(engine, seed);
      expect(again.cached).toBe(96);
      expect(again.ids).toEqual(fresh[seed]!.ids);
    }
    expect([...held.all].some((block) => !block.startsWith("device"))).toBe(true);
  });

  it("keeps nothing with no tier: it computes again", async () => {
    const engine = await make([]);
    const first = await run(engine, 1);
    await run(engine, 2);
    expect(await run(engine, 1)).toEqual({ ids: first.ids, cached: 0 });
  });

  it("finds the blocks of an earlier process on its disk and tells the router of them", async () => {
    const before = await make([hostTier({ budgetBytes: 2 ** 20 }), disk()]);
    const first = await run(before, 7);
    await before.close();
    const after = await make([hostTier({ budgetBytes: 2 ** 20 }), disk()]);
    const stored = after.snapshot()?.events ?? [];
    expect(new Set(stored.map((event) => event.type === "stored" && event.tier))).toEqual(new Set(["disk"]));
    expect(await run(after, 7)).toEqual({ ids: first.ids, cached: 96 });
  });

  it("does not use what another KV layout left on the disk, and gives its room away first", async () => {
    const before = await make([disk()]);
    const first = await run(before, 8);
    await before.close();
    const other = await createLlamaEngine({
      modelPath: tinyModelPath(),
      contextTokens: 256,
      blockTokens: 32,
      sequences: 1,
      tiers: [diskTier({ directory, budgetBytes: 8 * blockBytes })],
    });
    open.push(other);
    expect(other.snapshot()?.events).toEqual([]);
    expect((await run(other, 8)).ids).toEqual(first.ids);
    await other.close();
    expect(await run(await make([disk()]), 8)).toMatchObject({ ids: first.ids });
  });

  it("computes a damaged block again instead of using it", async () => {
    const engine = await make([disk()]);
    const first = await run(engine, 3);
    await run(engine, 4);
    for (const name of await readdir(directory, { recursive: true })) {
      if (!name.endsWith(".kv")) continue;
      const file = await readFile(path.join(directory, name));
      file[file.length - 1]! ^= 1;
      await writeFile(path.join(directory, name), file);
    }
    expect(await run(engine, 3)).toEqual({ ids: first.ids, cached: 0 });
  });

  it("is right after its process was killed while it wrote, as often as that happens", async () => {
    const worker = fileURLToPath(new URL("../../test/llama-worker.ts", import.meta.url));
    const execArgv = ["--import", "tsx", "--conditions=@stator/source"];
    for (let round = 0; round < 2; round++) {
      const child = fork(worker, [directory], { execArgv, serialization: "advanced" });
      const gone = new Promise((resolve) => child.once("exit", resolve));
      let answers = 0;
      child.on("message", ({ id }: { id: string }) => {
        if (id === "ready") for (let seed = 0; seed < 12; seed++) child.send(init(seed));
        // Blocks of this answer are being written at this moment.
        else if (++answers === 5 + 2 * round) child.kill("SIGKILL");
      });
      await gone;
      expect(answers).toBeGreaterThan(4);
    }
    const [restarted, alone] = [await make([hostTier({ budgetBytes: 2 ** 20 }), disk()]), await make([])];
    let cached = 0;
    for (let seed = 0; seed < 12; seed++) {
      const again = await run(restarted, seed);
      expect(again.ids).toEqual((await run(alone, seed)).ids);
      cached += again.cached;
    }
    expect(cached).toBeGreaterThan(0);
    expect((await readdir(directory)).filter((name) => name.endsWith(".tmp"))).toEqual([]);
  });
});
