import { describe, expect, it } from "vitest";
import { applyRegroup, planRegroup } from "./regroup-plan.ts";
import {
  assertCompatible,
  type KvAxis,
  type KvGeometry,
  type KvModel,
  kvCompatibilityHash,
  kvStrides,
} from "./kv-geometry.ts";

const nhd: readonly KvAxis[] = ["layer", "kind", "block", "token", "head"];
const hnd: readonly KvAxis[] = ["layer", "kind", "block", "head", "token"];
const flashInfer: readonly KvAxis[] = ["layer", "block", "kind", "token", "head"];
const crossLayer: readonly KvAxis[] = ["block", "layer", "kind", "head", "token"];

/** A byte that names its place in the model, whatever the layout: the oracle writes and reads one vector at a time. */
const mark = (layer: number, kind: number, token: number, head: number, byte: number): number =>
  (layer * 131 + kind * 71 + token * 17 + head * 29 + byte * 7) & 0xff;

function eachVector(
  geometry: KvGeometry,
  blocks: Uint32Array,
  tokens: number,
  visit: (offset: number, layer: number, kind: number, token: number, head: number) => void,
): void {
  const { firstLayer, layers, firstHead, heads } = kvStrides(geometry);
  const sizes: Record<KvAxis, number> = {
    block: geometry.blocks,
    layer: layers,
    kind: geometry.model.kinds,
    token: geometry.blockTokens,
    head: heads,
  };
  for (let token = 0; token < tokens; token += 1)
    for (let layer = 0; layer < layers; layer += 1)
      for (let kind = 0; kind < geometry.model.kinds; kind += 1)
        for (let head = 0; head < heads; head += 1) {
          const index: Record<KvAxis, number> = {
            block: blocks[Math.floor(token / geometry.blockTokens)] as number,
            layer,
            kind,
            token: token % geometry.blockTokens,
            head,
          };
          let offset = 0;
          for (const axis of geometry.order) offset = offset * sizes[axis] + index[axis];
          visit(offset * geometry.model.vectorBytes, firstLayer + layer, kind, token, firstHead + head);
        }
}

const shuffled = (count: number, from: number): Uint32Array =>
  Uint32Array.from({ length: count }, (_, i) => (i * 5 + 3) % from);

const models: readonly (readonly [string, KvModel])[] = [
  ["MHA bf16", { weightsDigest: "w", dtype: "bf16", layers: 3, kinds: 2, kvHeads: 8, vectorBytes: 16 }],
  [
    "GQA fp8",
    {
      weightsDigest: "w",
      dtype: "fp8_e4m3",
      layers: 3,
      kinds: 2,
      kvHeads: 2,
      vectorBytes: 8,
      scales: "config",
    },
  ],
  [
    "MLA fp8 with inline scales",
    {
      weightsDigest: "w",
      dtype: "fp8_ds_mla",
      layers: 3,
      kinds: 1,
      kvHeads: 1,
      vectorBytes: 41,
      scales: "inline",
    },
  ],
];

describe.each(models)("%s", (_name, model) => {
  const sizes = [1, 2, 4, 8];
  for (const sourceTp of sizes)
    for (const targetTp of sizes)
      it(`prefill TP ${sourceTp} to decode TP ${targetTp}: every order and block size, bit for bit`, () => {
        for (const [sourceOrder, targetOrder] of [
          [nhd, nhd],
          [nhd, hnd],
          [hnd, nhd],
          [hnd, crossLayer],
          [flashInfer, crossLayer],
        ] as const)
          for (const [sourceBlock, targetBlock] of [
            [16, 16],
            [16, 64],
            [128, 16],
          ] as const) {
            const tokens = 150;
            const need = (blockTokens: number): number => Math.ceil(tokens / blockTokens);
            const make = (
              order: readonly KvAxis[],
              blockTokens: number,
              size: number,
              rank: number,
            ): KvGeometry => ({
              model,
              order,
              blockTokens,
              blocks: 17,
              tensorParallel: { size, rank },
            });
            const sources = Array.from({ length: sourceTp }, (_, rank) =>
              make(sourceOrder, sourceBlock, sourceTp, rank),
            );
            const sourceBlocks = shuffled(need(sourceBlock), 17);
            const targetBlocks = shuffled(need(targetBlock), 16);
            const caches = sources.map((source) => {
              const cache = new Uint8Array(kvStrides(source).totalBytes).fill(0xcc);
              eachVector(source, sourceBlocks, tokens, (offset, layer, kind, token, head) => {
                for (let byte = 0; byte < model.vectorBytes; byte += 1)
                  cache[offset + byte] = mark(layer, kind, token, head, byte);
              });
              return cache;
            });
            for (const rank of new Set([0, targetTp - 1])) {
              const target = make(targetOrder, targetBlock, targetTp, rank);
              const result = new Uint8Array(kvStrides(target).totalBytes).fill(0xee);
              const expected = result.slice();
              eachVector(target, targetBlocks, tokens, (offset, layer, kind, token, head) => {
                for (let byte = 0; byte < model.vectorBytes; byte += 1)
                  expected[offset + byte] = mark(layer, kind, token, head, byte);
              });
              const parts = planRegroup({ sources, target, tokens, sourceBlocks, targetBlocks });
              for (const part of parts) applyRegroup(part, caches[part.source] as Uint8Array, result);
              expect(Buffer.compare(result, expected)).toBe(0);
              expect(parts.reduce((sum, part) => sum + part.bytes, 0)).toBe(
                tokens * model.layers * model.kinds * kvStrides(target).heads * model.vectorBytes,
              );
            }
          }
      });
});

it("pipeline stages give each its layers, and skipped tokens stay untouched", () => {
  const model = (models[0] as (typeof models)[number])[1];
  const base = { model, order: nhd, blockTokens: 16, blocks: 4 };
  const sources = [0, 1].map((rank): KvGeometry => ({
    ...base,
    tensorParallel: { size: 1, rank: 0 },
    pipelineParallel: { size: 2, rank },
  }));
  const target: KvGeometry = { ...base, tensorParallel: { size: 1, rank: 0 } };
  const blocks = Uint32Array.of(0, 1, 2);
  const parts = planRegroup({
    sources,
    target,
    tokens: 40,
    skipTokens: 16,
    sourceBlocks: blocks,
    targetBlocks: blocks,
  });
  expect(parts.map((part) => part.source)).toEqual([0, 1]);
  expect(parts.map((part) => part.bytes)).toEqual([2, 1].map((layers) => layers * 2 * 8 * 16 * 24));
});

it("reading the same MLA latent, target ranks spread over the source ranks", () => {
  const model = (models[2] as (typeof models)[number])[1];
  const make = (size: number, rank: number): KvGeometry => ({
    model,
    order: nhd,
    blockTokens: 16,
    blocks: 4,
    tensorParallel: { size, rank },
  });
  const sources = [0, 1, 2, 3].map((rank) => make(4, rank));
  const blocks = Uint32Array.of(0);
  const chosen = [0, 1, 2, 3].map((rank) =>
    planRegroup({
      sources,
      target: make(4, rank),
      tokens: 16,
      sourceBlocks: blocks,
      targetBlocks: blocks,
    }).map((part) => part.source),
  );
  expect(chosen).toEqual([[0], [1], [2], [3]]);
});

it("whole blocks of equal layout merge to one piece per block, kind and layer", () => {
  const model = (models[0] as (typeof models)[number])[1];
  const geometry: KvGeometry = {
    model,
    order: hnd,
    blockTokens: 16,
    blocks: 4,
    tensorParallel: { size: 1, rank: 0 },
  };
  const blocks = Uint32Array.of(2, 0, 1);
  const [part] = planRegroup({
    sources: [geometry],
    target: geometry,
    tokens: 48,
    sourceBlocks: blocks,
    targetBlocks: blocks,
  });
  expect(part?.sourcePieces.length).toBe(3 * 2 * 3);
});

it("refuses to move between models that differ, and names the field", () => {
  const model = (models[0] as (typeof models)[number])[1];
  expect(kvCompatibilityHash(model)).toBe(kvCompatibilityHash({ ...model }));
  expect(() => assertCompatible(model, { ...model, dtype: "fp8_e4m3" })).toThrow(
    /dtype is bf16 at the source and fp8_e4m3/,
  );
  expect(() => assertCompatible(model, { ...model, scales: "inline" })).toThrow(/scales/);
});
