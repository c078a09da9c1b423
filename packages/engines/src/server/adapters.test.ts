import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { collectIds, createRequest, type Handoff } from "@stator/core";
import { afterAll, afterEach, describe, expect, it, test } from "vitest";
import { llamaServer } from "../llama-server/index.ts";
import { sglang } from "../sglang/index.ts";
import { createSimulatedEngine } from "../simulated/index.ts";
import { simulatedTokenizer } from "../simulated/model/tokenizer-file.ts";
import { trtllm } from "../trtllm/index.ts";
import { vllm } from "../vllm/index.ts";
import { engineSuite, type EngineFixture } from "../testing/engine-suite.ts";
import type { EngineFake } from "../testing/fakes/http-fake.ts";
import { startLlamaServerFake, type SavedState } from "../testing/fakes/llama-server-fake.ts";
import { startSglangFake } from "../testing/fakes/sglang-fake.ts";
import { startTrtllmFake } from "../testing/fakes/trtllm-fake.ts";
import { startVllmFake } from "../testing/fakes/vllm-fake.ts";

const opened: EngineFake[] = [];
afterEach(async () => {
  await Promise.all(opened.splice(0).map((fake) => fake.close()));
});
const kept = async (starting: Promise<EngineFake>): Promise<string> => {
  const fake = await starting;
  opened.push(fake);
  return fake.url;
};
const inner = () => createSimulatedEngine({ contextTokens: 512, kvBlocks: 64 });
const slotFolder = await mkdtemp(path.join(tmpdir(), "stator-slots-"));
afterAll(() => rm(slotFolder, { recursive: true }));

const sideChannel = new Map<string, Handoff>();
const transceiver = new Map<string, Handoff>();
const states = new Map<string, SavedState>();
const tokenizerPath = path.join(slotFolder, "tokenizer.json");
await writeFile(tokenizerPath, simulatedTokenizer().json);
// The engine inside is batch invariant; a real server's card would not say so.
const common = { card: { batchInvariant: true }, tokenizerPath };

const fixtures: Readonly<Record<string, EngineFixture["create"]>> = {
  "vllm 0.10.0": async () =>
    ready(vllm({ url: await kept(startVllmFake({ engine: inner(), era: "0.10.0" })), ...common })),
  "vllm with NIXL": async () =>
    ready(
      vllm({
        url: await kept(startVllmFake({ engine: inner(), sideChannel })),
        ...common,
        connector: { name: "nixl" },
      }),
    ),
  "sglang, cumulative": async () =>
    ready(sglang({ url: await kept(startSglangFake({ engine: inner() })), ...common })),
  "sglang, deltas": async () =>
    ready(sglang({ url: await kept(startSglangFake({ engine: inner(), stream: "delta" })), ...common })),
  trtllm: async () =>
    ready(
      trtllm({
        url: await kept(startTrtllmFake({ engine: inner(), transceiver })),
        ...common,
        connector: { name: "context" },
      }),
    ),
  "llama-server": async () =>
    ready(
      llamaServer({
        url: await kept(startLlamaServerFake({ engine: inner(), slotFolder, states })),
        ...common,
        connector: { name: "slot-files", folder: slotFolder },
      }),
    ),
};
async function ready<T extends { ready(): Promise<unknown> }>(engine: T): Promise<T> {
  await engine.ready();
  return engine;
}

const prompt: EngineFixture["prompt"] = (seed, tokens) =>
  Uint32Array.from(
    { length: tokens },
    (_, i) => 33 + ((Math.imul(seed * 131 + i + 1, 2654435761) >>> 9) % 93),
  );

for (const [name, create] of Object.entries(fixtures)) {
  describe(name, () => {
    for (const { name: behaviour, run } of engineSuite({ create, prompt })) {
      it(behaviour, async ({ skip }) => {
        const inapplicable = await run();
        if (typeof inapplicable === "string") skip(inapplicable);
      });
    }
  });
}

test("an id beyond the vocabulary never reaches a server: it would end one", async () => {
  const engine = sglang({ url: await kept(startSglangFake({ engine: inner() })), ...common });
  await engine.ready();
  const request = createRequest({ id: "r", model: "m", promptIds: Uint32Array.of(40, 4_000_000) });
  await expect(collectIds(engine, request)).rejects.toMatchObject({
    code: "ENGINES_PROMPT_INVALID",
    kind: "invalid",
  });
});
