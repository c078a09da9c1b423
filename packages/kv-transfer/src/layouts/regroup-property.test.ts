import fc from "fast-check";
import { expect, it } from "vitest";
import { engineLayouts } from "./engine-layouts.ts";
import { kvStrides, type KvAxis, type KvGeometry, type KvModel } from "./kv-geometry.ts";
import { loadTransferAddon } from "../native/transfer-addon.ts";
import { planRegroup, regroupNatively, regroupPlainly } from "./regroup-plan.ts";

const native = loadTransferAddon();
if (!native.isAvailable) console.log(`skipped: regrouping in C++: ${native.reason}`);

const axes: readonly KvAxis[] = ["block", "layer", "kind", "token", "head"];
const orders = fc.oneof(
  fc.shuffledSubarray([...axes], { minLength: 5 }),
  fc.constantFrom(...Object.values(engineLayouts).map(({ order }) => [...order])),
);
const side = fc.record({
  order: orders,
  blockTokens: fc.constantFrom(1, 4, 16, 64),
  tensor: fc.constantFrom(1, 2, 4, 8),
  pipeline: fc.constantFrom(1, 2, 3),
});

/** Where one vector lies, by the definition of the axes alone. */
function offsetOf(geometry: KvGeometry, index: Readonly<Record<KvAxis, number>>): number {
  const { layers, heads } = kvStrides(geometry);
  const sizes: Record<KvAxis, number> = {
    block: geometry.blocks,
    layer: layers,
    kind: geometry.model.kinds,
    token: geometry.blockTokens,
    head: heads,
  };
  return geometry.order.reduce((at, axis) => at * sizes[axis] + index[axis], 0) * geometry.model.vectorBytes;
}

it("moves every vector of any geometry to its place in any other, once, and touches nothing else", () => {
  fc.assert(
    fc.property(
      side,
      side,
      fc.constantFrom(1, 2, 8),
      fc.constantFrom<1 | 2>(1, 2),
      fc.integer({ min: 3, max: 5 }),
      fc.constantFrom(3, 16, 41),
      fc.integer({ min: 1, max: 70 }),
      fc.integer({ min: 0, max: 69 }),
      fc.integer(),
      (from, to, kvHeads, kinds, layers, vectorBytes, tokens, skip, seed) => {
        const model: KvModel = { weightsDigest: "w", dtype: "x", layers, kinds, kvHeads, vectorBytes };
        const skipTokens = Math.min(skip, tokens - 1);
        const make = (of: typeof from, tensorRank: number, stage: number): KvGeometry => ({
          model,
          order: of.order,
          blockTokens: of.blockTokens,
          blocks: Math.ceil(tokens / of.blockTokens) + 2,
          tensorParallel: { size: of.tensor, rank: tensorRank },
          pipelineParallel: { size: of.pipeline, rank: stage },
        });
        const sources = Array.from({ length: from.pipeline * from.tensor }, (_, i) =>
          make(from, i % from.tensor, Math.floor(i / from.tensor)),
        );
        const target = make(to, Math.abs(seed) % to.tensor, Math.abs(seed) % to.pipeline);
        // Block ids in reverse, the first block of each cache unused.
        const ids = (geometry: KvGeometry): Uint32Array =>
          Uint32Array.from({ length: geometry.blocks - 2 }, (_, i) => geometry.blocks - 2 - i);
        const [sourceBlocks, targetBlocks] = [ids(sources[0]!), ids(target)];
        const value = (layer: number, kind: number, token: number, head: number, byte: number): number =>
          (layer * 131 + kind * 71 + token * 17 + head * 29 + byte * 7 + seed) & 0xff;
        const each = (
          geometry: KvGeometry,
          blocks: Uint32Array,
          first: number,
          visit: (offset: number, place: readonly [number, number, number, number]) => void,
        ): void => {
          const { firstLayer, layers: own, firstHead, heads } = kvStrides(geometry);
          for (let token = first; token < tokens; token++)
            for (let layer = 0; layer < own; layer++)
              for (let kind = 0; kind < kinds; kind++)
                for (let head = 0; head < heads; head++) {
                  const block = blocks[Math.floor(token / geometry.blockTokens)]!;
                  const index = { block, layer, kind, token: token % geometry.blockTokens, head };
                  visit(offsetOf(geometry, index), [firstLayer + layer, kind, token, firstHead + head]);
                }
        };
        const caches = sources.map((source) => {
          const cache = new Uint8Array(kvStrides(source).totalBytes).fill(0xcc);
          each(source, sourceBlocks, 0, (offset, place) => {
            for (let byte = 0; byte < vectorBytes; byte++) cache[offset + byte] = value(...place, byte);
          });
          return cache;
        });
        const wanted = new Uint8Array(kvStrides(target).totalBytes).fill(0xee);
        const got = wanted.slice();
        const gotNatively = wanted.slice();
        let vectors = 0;
        each(target, targetBlocks, skipTokens, (offset, place) => {
          vectors++;
          for (let byte = 0; byte < vectorBytes; byte++) wanted[offset + byte] = value(...place, byte);
        });
        const parts = planRegroup({ sources, target, tokens, skipTokens, sourceBlocks, targetBlocks });
        for (const part of parts) {
          regroupPlainly(part, caches[part.source]!, got);
          if (native.isAvailable) regroupNatively(native.addon, part, caches[part.source]!, gotNatively);
        }
        expect(Buffer.compare(got, wanted)).toBe(0);
        if (native.isAvailable) expect(Buffer.compare(gotNatively, wanted)).toBe(0);
        expect(parts.reduce((sum, part) => sum + part.bytes, 0)).toBe(vectors * vectorBytes);
      },
    ),
    { numRuns: 150 },
  );
});

it("names each axis of each engine once", () => {
  const model: KvModel = { weightsDigest: "w", dtype: "x", layers: 3, kinds: 2, kvHeads: 4, vectorBytes: 8 };
  for (const [name, { order, blockTokens }] of Object.entries(engineLayouts)) {
    const geometry: KvGeometry = {
      model,
      order,
      blockTokens,
      blocks: 4,
      tensorParallel: { size: 1, rank: 0 },
    };
    expect(kvStrides(geometry).totalBytes, name).toBe(4 * blockTokens * 3 * 2 * 4 * 8);
  }
});
