import type { GpuContext, GpuMemory, GpuStream } from "./gpu.ts";

/** A warp's share of the kernel: longer pieces are cut to this, so that one piece keeps a whole device busy. */
const cutBytes = 8192;

/** Strided copies between absolute addresses, collected for one launch of `stator_regroup`. */
export interface RegroupTable {
  readonly isEmpty: boolean;
  add(
    source: bigint,
    target: bigint,
    bytes: number,
    sourceStride: number,
    targetStride: number,
    count: number,
  ): void;
  /** Uploads the table; the launches of the result copy what was added. */
  upload(context: GpuContext): { readonly memory: GpuMemory; launch(stream: GpuStream): void };
}

export function createRegroupTable(): RegroupTable {
  const words: bigint[] = [];
  const firsts: bigint[] = [0n];
  let pieces = 0;
  const put = (
    source: bigint,
    target: bigint,
    bytes: number,
    sourceStride: number,
    targetStride: number,
    count: number,
  ): void => {
    words.push(source, target, BigInt(bytes), BigInt(sourceStride), BigInt(targetStride), BigInt(count));
    pieces += count;
    firsts.push(BigInt(pieces));
  };
  return {
    get isEmpty() {
      return pieces === 0;
    },
    add(source, target, bytes, sourceStride, targetStride, count) {
      if (bytes <= cutBytes) return put(source, target, bytes, sourceStride, targetStride, count);
      const whole = Math.floor(bytes / cutBytes);
      const rest = bytes - whole * cutBytes;
      for (let k = 0; k < count; k += 1) {
        const from = source + BigInt(k * sourceStride);
        const to = target + BigInt(k * targetStride);
        put(from, to, cutBytes, cutBytes, cutBytes, whole);
        const end = BigInt(whole * cutBytes);
        if (rest > 0) put(from + end, to + end, rest, rest, rest, 1);
      }
    },
    upload(context) {
      const runs = firsts.length - 1;
      const table = BigUint64Array.from([...words, ...firsts]);
      const memory = context.allocate(table.byteLength);
      context.copy(memory, new Uint8Array(table.buffer));
      const args = [0n, 0n, memory.address, memory.address + BigInt(words.length * 8), runs];
      const grid = context.device.multiprocessors * 8;
      return {
        memory,
        launch: (stream) => context.launch("stator_regroup", { grid, block: 256, args, stream }),
      };
    },
  };
}
