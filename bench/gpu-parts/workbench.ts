// What all checks on a GPU need: memory filled and read back, launches, comparison.
import type { CudaContext, CudaMemory } from "@stator/cuda-bindings";

/** One check: what is worth telling of it, or an error. */
export type Check = () => Promise<string | undefined>;

export interface GpuWorkbench {
  readonly context: CudaContext;
  /** The driver's library, where it is not the system's. */
  readonly library: string | undefined;
  random(bytes: number): Uint8Array;
  upload(bytes: ArrayBufferView): CudaMemory;
  download(memory: CudaMemory): Uint8Array;
  /** Throws at the first byte that differs. */
  same(got: Uint8Array, wanted: Uint8Array, what: string): void;
  launch(kernel: string, args: readonly (number | bigint)[]): void;
}

export function createWorkbench(context: CudaContext, library: string | undefined): GpuWorkbench {
  const grid = context.device.multiprocessors * 4;
  return {
    context,
    library,
    random: createRandom(7),
    upload(bytes) {
      const memory = context.allocate(bytes.byteLength);
      context.copy(memory, new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength));
      return memory;
    },
    download(memory) {
      const bytes = new Uint8Array(memory.bytes);
      context.copy(bytes, memory);
      return bytes;
    },
    same(got, wanted, what) {
      const at = got.findIndex((byte, i) => byte !== wanted[i]);
      if (at >= 0 || got.length !== wanted.length)
        throw new Error(`${what}: byte ${at} is ${got[at]} and should be ${wanted[at]}`);
    },
    launch: (kernel, args) => context.launch(kernel, { grid, block: 256, args }),
  };
}

function createRandom(seed: number): (bytes: number) => Uint8Array {
  let state = seed >>> 0;
  return (bytes) =>
    Uint8Array.from({ length: bytes }, () => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) >>> 24);
}
