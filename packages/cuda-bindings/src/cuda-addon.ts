import { createRequire } from "node:module";

/** A native handle; the garbage collector closes what nobody closed. */
export type NativeHandle = object & { readonly __handle?: never };

interface NativeDevice {
  readonly index: number;
  readonly name: string;
  readonly pciBusId: string;
  readonly uuid: Uint8Array;
  readonly totalBytes: number;
  readonly major: number;
  readonly minor: number;
  readonly multiprocessors: number;
  readonly hasPools: boolean;
  readonly hasFdHandles: boolean;
  readonly hasFabricHandles: boolean;
}

interface NativeCuda {
  driverVersion(): number;
  devices(): readonly NativeDevice[];
  canAccessPeer(device: number, peer: number): boolean;
  retain(device: number): NativeHandle;
}

interface NativeNvml {
  driverVersion(): string;
  count(): number;
  identity(index: number): { readonly name: string; readonly uuid: string };
  read(index: number, figure: string): unknown;
  nvlink(index: number): readonly {
    readonly link: number;
    readonly isActive: boolean;
    readonly transmitKib?: number;
    readonly receiveKib?: number;
    readonly remotePciBusId?: string;
  }[];
  watchXid(listener: (index: number, xid: number) => void): boolean;
  close(): void;
}

/** What the C++ addon of this package exports. */
export interface CudaAddon {
  readonly Cuda: new (library: string) => NativeCuda;
  readonly Nvml: new (library: string) => NativeNvml;
  memoryInfo(context: NativeHandle): { readonly freeBytes: number; readonly totalBytes: number };
  allocate(context: NativeHandle, bytes: number): NativeHandle;
  allocatePooled(context: NativeHandle, bytes: number, stream: NativeHandle): NativeHandle;
  addressOf(memory: NativeHandle): bigint;
  pinned(context: NativeHandle, bytes: number): ArrayBuffer;
  copy(
    kind: number,
    target: NativeHandle | Uint8Array,
    targetOffset: number,
    source: NativeHandle | Uint8Array,
    sourceOffset: number,
    bytes: number,
    stream?: NativeHandle,
  ): void;
  fill(memory: NativeHandle, offset: number, value: number, bytes: number, stream?: NativeHandle): void;
  createStream(context: NativeHandle): NativeHandle;
  synchronize(stream: NativeHandle, done: (code?: string, result?: number) => void): void;
  isStreamIdle(stream: NativeHandle): boolean;
  createEvent(context: NativeHandle): NativeHandle;
  recordEvent(event: NativeHandle, stream?: NativeHandle): void;
  isEventDone(event: NativeHandle): boolean;
  awaitEvent(event: NativeHandle, done: (code?: string, result?: number) => void): void;
  elapsedMs(from: NativeHandle, to: NativeHandle): number;
  waitEvent(stream: NativeHandle | undefined, event: NativeHandle): void;
  ipcExport(memory: NativeHandle): Uint8Array;
  ipcImport(context: NativeHandle, handle: Uint8Array): NativeHandle;
  /** Kinds: 1 file descriptors, 8 fabric handles, or both. */
  granularity(context: NativeHandle, kinds: number): number;
  allocateShareable(context: NativeHandle, bytes: number, kinds: number): NativeHandle;
  exportFd(memory: NativeHandle): number;
  exportFabric(memory: NativeHandle): Uint8Array;
  importShareable(context: NativeHandle, handle: number | Uint8Array, bytes: number): NativeHandle;
  enablePeer(from: NativeHandle, to: NativeHandle): void;
  loadModule(context: NativeHandle, ptx: string): NativeHandle;
  launch(
    module: NativeHandle,
    name: string,
    grid: number,
    block: number,
    args: readonly (number | bigint)[],
    stream?: NativeHandle,
  ): void;
  close(handle: NativeHandle): void;
  /** The kernels on the host, in plain C++: with reference-kernels.ts the oracle of those on devices. Tables as the kernels take them. */
  hostRegroup(target: Uint8Array, source: Uint8Array, runs: BigUint64Array): void;
  hostPermute(target: Uint8Array, source: Uint8Array, shape: BigUint64Array): void;
  hostFp8ToBf16(source: Uint8Array, scales: Float32Array, group: number): Uint16Array;
  hostBf16ToFp8(source: Uint16Array, scales: Float32Array, group: number): Uint8Array;
  hostChecksum(words: Uint32Array): number;
}

export type CudaAddonState =
  | { readonly isAvailable: true; readonly addon: CudaAddon }
  | { readonly isAvailable: false; readonly reason: string };

const requireHere = createRequire(import.meta.url);
const platform = `${process.platform}-${process.arch}`;
let state: CudaAddonState | undefined;

/** Loads the addon once: a local build first, then the platform package; else says what to do. */
export function loadCudaAddon(): CudaAddonState {
  state ??= load();
  return state;
}

function load(): CudaAddonState {
  const tried: string[] = [];
  for (const candidate of ["../native/build/stator_cuda.node", `@stator/cuda-bindings-${platform}`]) {
    try {
      return { isAvailable: true, addon: requireHere(candidate) as CudaAddon };
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      if (code !== "MODULE_NOT_FOUND") tried.push(`${candidate}: ${message.split("\n")[0]}`);
    }
  }
  return {
    isAvailable: false,
    reason: [
      ...tried,
      `no addon for ${platform}: in the repository run \`npm run build:native\`, else install @stator/cuda-bindings-${platform}`,
    ].join("; "),
  };
}
