// Each kernel against the host oracles, bit for bit.
import {
  bf16ToFp8,
  checksum,
  fp8ToBf16,
  permute,
  regroup,
  type KernelRun,
  type PermuteShape,
} from "../../packages/cuda-bindings/src/kernels/reference-kernels.ts";
import type { CudaMemory } from "@stator/cuda-bindings";
import type { Check, GpuWorkbench } from "./workbench.ts";

export function kernelChecks({
  random,
  upload,
  download,
  same,
  launch,
}: GpuWorkbench): Readonly<Record<string, Check>> {
  return {
    "copy table: every piece length and alignment": () => {
      for (const bytes of [1, 4, 16, 100, 256, 4_096, 8_192, 8_208, 20_000, 65_536])
        for (const shift of [0, 4, 1]) {
          const pieces = 37;
          const stride = bytes + 48;
          const source = random(stride * pieces + 64);
          const from = upload(source);
          const to = upload(new Uint8Array(source.length));
          const order = Array.from({ length: pieces }, (_, i) => (i * 11) % pieces);
          const table = (memory: CudaMemory, places: readonly number[], by: number): CudaMemory =>
            upload(BigUint64Array.from(places, (place) => memory.address + BigInt(place * stride + by)));
          const [targets, sources] = [table(to, [...order.keys()], shift), table(from, order, 0)];
          launch("stator_copy_table", [targets.address, sources.address, BigInt(bytes), pieces]);
          const wanted = new Uint8Array(source.length);
          order.forEach((place, i) =>
            wanted.set(source.subarray(place * stride, place * stride + bytes), i * stride + shift),
          );
          same(download(to), wanted, `${bytes} bytes shifted by ${shift}`);
          for (const each of [from, to, targets, sources]) each.close();
        }
      return Promise.resolve(undefined);
    },
    "regroup: heads split and blocks merged": () => {
      const source = random(1 << 20);
      const runs: KernelRun[] = Array.from({ length: 64 }, (_, r) => ({
        source: r * 16_384,
        target: ((r * 5) % 64) * 8_192,
        bytes: r % 3 === 0 ? 256 : r % 3 === 1 ? 252 : 33,
        sourceStride: 1_024,
        targetStride: 512,
        count: 1 + (r % 16),
      }));
      const firsts = new BigUint64Array(runs.length + 1);
      runs.forEach(({ count }, r) => (firsts[r + 1] = firsts[r]! + BigInt(count)));
      const words = BigUint64Array.from(
        runs.flatMap((r) => [r.source, r.target, r.bytes, r.sourceStride, r.targetStride, r.count]),
        BigInt,
      );
      const wanted = new Uint8Array(1 << 19);
      const [from, to] = [upload(source), upload(wanted)];
      const [list, places] = [upload(words), upload(firsts)];
      launch("stator_regroup", [to.address, from.address, list.address, places.address, runs.length]);
      regroup(wanted, source, runs);
      same(download(to), wanted, "regroup");
      for (const each of [from, to, list, places]) each.close();
      return Promise.resolve(undefined);
    },
    "permute: NHD to HND and back, block to universal": () => {
      for (const vectorBytes of [256, 128, 36])
        for (const [tokens, heads, layers] of [
          [16, 8, 3],
          [64, 1, 2],
          [7, 3, 5],
        ] as const) {
          const blocks = 5;
          const [nhd, hnd] = [
            [layers * tokens * heads, tokens * heads, 1, heads],
            [layers * tokens * heads, tokens * heads, tokens, 1],
          ] as const;
          const universal = [tokens, blocks * tokens, layers * blocks * tokens, 1] as const;
          const extents = [blocks, layers, heads, tokens] as const;
          const bytes = blocks * layers * heads * tokens * vectorBytes;
          const scaled = (
            strides: readonly [number, number, number, number],
          ): [number, number, number, number] =>
            strides.map((stride) => stride * vectorBytes) as [number, number, number, number];
          for (const [one, other] of [
            [nhd, hnd],
            [hnd, nhd],
            [nhd, universal],
            [universal, hnd],
          ] as const) {
            const shape: PermuteShape = {
              extents,
              sourceStrides: scaled(one),
              targetStrides: scaled(other),
              vectorBytes,
            };
            const source = random(bytes);
            const wanted = new Uint8Array(bytes);
            const [from, to] = [upload(source), upload(wanted)];
            const words = upload(
              BigUint64Array.from(
                [...extents, ...shape.sourceStrides, ...shape.targetStrides, vectorBytes],
                BigInt,
              ),
            );
            launch("stator_permute", [to.address, from.address, words.address]);
            permute(wanted, source, shape);
            same(download(to), wanted, `permute of ${vectorBytes} byte vectors`);
            for (const each of [from, to, words]) each.close();
          }
        }
      return Promise.resolve(undefined);
    },
    "FP8 and BF16: every number, with scales": () => {
      const group = 128;
      const codes = Uint8Array.from({ length: 4_096 }, (_, i) => i & 255);
      const halves = Uint16Array.from({ length: 65_536 }, (_, i) => i);
      const scalesFor = (values: number): Float32Array =>
        Float32Array.from({ length: values / group }, (_, i) => Math.fround(0.001 * 1.7 ** (i % 29)));
      const [up, down] = [scalesFor(codes.length), scalesFor(halves.length)];
      const wantedUp = fp8ToBf16(codes, up, group);
      const wantedDown = bf16ToFp8(halves, down, group);
      const memory = [
        upload(codes),
        upload(up),
        upload(wantedUp.map(() => 0)),
        upload(halves),
        upload(down),
        upload(wantedDown.map(() => 0)),
      ] as const;
      const [a, b, c, d, e, f] = memory;
      launch("stator_fp8_to_bf16", [c.address, a.address, b.address, BigInt(codes.length), BigInt(group)]);
      launch("stator_bf16_to_fp8", [f.address, d.address, e.address, BigInt(halves.length), BigInt(group)]);
      same(withoutNan(download(c)), withoutNan(new Uint8Array(wantedUp.buffer)), "FP8 to BF16");
      same(download(f), wantedDown, "BF16 to FP8");
      for (const each of memory) each.close();
      return Promise.resolve(undefined);
    },
    "checksum: short, long and empty tails": () => {
      for (const words of [1, 31, 2_048, 2_049, 40_000]) {
        const count = 9;
        const data = random(words * 4 * count);
        const from = upload(data);
        const pieces = upload(
          BigUint64Array.from({ length: count }, (_, i) => from.address + BigInt(i * words * 4)),
        );
        const sums = upload(new Uint32Array(count));
        launch("stator_checksum", [sums.address, pieces.address, BigInt(words), count]);
        const got = new Uint32Array(download(sums).buffer);
        for (let i = 0; i < count; i++) {
          const wanted = checksum(new Uint32Array(data.slice(i * words * 4, (i + 1) * words * 4).buffer));
          if (got[i] !== wanted) throw new Error(`piece ${i} of ${words} words: ${got[i]} is not ${wanted}`);
        }
        for (const each of [from, pieces, sums]) each.close();
      }
      return Promise.resolve(undefined);
    },
  };
}

/** All BF16 NaNs as one: their payload is not a promise. */
function withoutNan(bytes: Uint8Array): Uint8Array {
  const codes = new Uint16Array(bytes.slice().buffer);
  return new Uint8Array(codes.map((code) => ((code & 0x7fff) > 0x7f80 ? 0x7fc0 : code)).buffer);
}
