import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { loadCudaAddon, type CudaAddon } from "../cuda-addon.ts";
import {
  bf16ToFp8,
  checksum,
  fp8ToBf16,
  permute,
  regroup,
  type KernelRun,
  type PermuteShape,
} from "./reference-kernels.ts";

const state = loadCudaAddon();
if (!state.isAvailable) console.log(`skipped: the C++ oracle of the KV kernels: ${state.reason}`);

// Two oracles that were written apart: where they agree, a kernel that differs is the one that is wrong.
describe.skipIf(!state.isAvailable)("the oracles in TypeScript and in C++ agree", () => {
  const native = (state as { readonly addon: CudaAddon }).addon;
  const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });

  it("on strided runs", () => {
    const run = fc.record<KernelRun>({
      source: fc.nat(1000),
      target: fc.nat(1000),
      bytes: fc.integer({ min: 1, max: 40 }),
      sourceStride: fc.nat(60),
      targetStride: fc.nat(60),
      count: fc.integer({ min: 1, max: 10 }),
    });
    fc.assert(
      fc.property(bytes(2000), fc.array(run, { minLength: 1, maxLength: 8 }), (source, runs) => {
        const [one, other] = [new Uint8Array(2000), new Uint8Array(2000)];
        regroup(one, source, runs);
        const table = runs.flatMap((r) => [
          ...[r.source, r.target, r.bytes, r.sourceStride, r.targetStride, r.count],
        ]);
        native.hostRegroup(other, source, BigUint64Array.from(table, BigInt));
        expect(Buffer.compare(one, other)).toBe(0);
      }),
    );
    expect(() =>
      native.hostRegroup(new Uint8Array(8), new Uint8Array(8), BigUint64Array.of(0n, 4n, 8n, 8n, 8n, 1n)),
    ).toThrow(expect.objectContaining({ code: "BOUNDS" }));
  });

  it("on permutations of whole caches", () => {
    fc.assert(
      fc.property(
        fc.tuple(...Array.from({ length: 4 }, () => fc.integer({ min: 1, max: 5 }))),
        fc.shuffledSubarray([0, 1, 2, 3], { minLength: 4 }),
        fc.shuffledSubarray([0, 1, 2, 3], { minLength: 4 }),
        fc.integer({ min: 1, max: 12 }),
        bytes(5 ** 4 * 12),
        (extents, from, to, vectorBytes, source) => {
          const strides = (order: readonly number[]): [number, number, number, number] => {
            const out: [number, number, number, number] = [0, 0, 0, 0];
            let stride = vectorBytes;
            for (const axis of order) {
              out[axis] = stride;
              stride *= extents[axis]!;
            }
            return out;
          };
          const shape: PermuteShape = {
            extents: extents as unknown as PermuteShape["extents"],
            sourceStrides: strides(from),
            targetStrides: strides(to),
            vectorBytes,
          };
          const [one, other] = [new Uint8Array(source.length), new Uint8Array(source.length)];
          permute(one, source, shape);
          const table = [...extents, ...shape.sourceStrides, ...shape.targetStrides, vectorBytes];
          native.hostPermute(other, source, BigUint64Array.from(table, BigInt));
          expect(Buffer.compare(one, other)).toBe(0);
        },
      ),
    );
  });

  it("on every FP8 and every BF16 number, with scales", () => {
    const codes = Uint8Array.from({ length: 4096 }, (_, i) => i & 255);
    const halves = Uint16Array.from({ length: 65_536 }, (_, i) => i);
    const group = 128;
    for (const base of [1, 0.37, 1e-6, 3e5]) {
      const scales = (values: number): Float32Array =>
        Float32Array.from({ length: values / group }, (_, i) => Math.fround(base * 1.7 ** (i % 29)));
      const up = scales(codes.length);
      const down = scales(halves.length);
      // A NaN's sign and payload are not a promise.
      const plain = (values: Uint16Array): Uint16Array =>
        values.map((code) => ((code & 0x7fff) > 0x7f80 ? 0x7fc0 : code));
      expect(plain(native.hostFp8ToBf16(codes, up, group))).toEqual(plain(fp8ToBf16(codes, up, group)));
      expect(native.hostBf16ToFp8(halves, down, group)).toEqual(bf16ToFp8(halves, down, group));
    }
  });

  it("on checksums", () => {
    fc.assert(
      fc.property(fc.uint32Array({ maxLength: 300 }), (words) => {
        expect(native.hostChecksum(words)).toBe(checksum(words));
      }),
    );
  });
});
