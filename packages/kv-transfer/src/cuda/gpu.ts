// What the cuda transport needs of a CUDA driver: `openCuda()` of @stator/cuda-bindings has this shape. Nothing of that package is imported.

/** Device memory. */
export interface GpuMemory {
  readonly bytes: number;
  readonly address: bigint;
  ipcHandle(): Uint8Array;
  fileDescriptor(): number;
  close(): void;
}

/** Order of work on a device. */
export interface GpuStream {
  readonly isIdle: boolean;
  synchronize(): Promise<void>;
  close(): void;
}

export interface GpuDevice {
  readonly index: number;
  readonly name: string;
  readonly uuid: string;
  readonly multiprocessors: number;
  /** Whether mapped memory can be shared by file descriptor. */
  readonly hasFdHandles: boolean;
}

/** One device, ready for work. */
export interface GpuContext {
  readonly device: GpuDevice;
  allocate(bytes: number): GpuMemory;
  allocateShareable(bytes: number, kinds: readonly "fd"[]): GpuMemory;
  pinned(bytes: number): Uint8Array;
  openIpc(handle: Uint8Array, bytes: number): GpuMemory;
  openShareable(handle: number, bytes: number): GpuMemory;
  createStream(): GpuStream;
  copy(
    target: GpuMemory | Uint8Array,
    source: GpuMemory | Uint8Array,
    options?: {
      readonly targetOffset?: number;
      readonly sourceOffset?: number;
      readonly bytes?: number;
      readonly stream?: GpuStream;
    },
  ): void;
  fill(memory: GpuMemory, value: number): void;
  launch(
    kernel: string,
    options: {
      readonly grid: number;
      readonly block: number;
      readonly args: readonly (number | bigint)[];
      readonly stream?: GpuStream;
    },
  ): void;
}

export interface GpuDriver {
  readonly devices: readonly GpuDevice[];
  context(device: number): GpuContext;
}

/** A region's memory on a device: what an engine in this process computes on. */
export interface DeviceBacking {
  readonly memory: GpuMemory;
  readonly device: GpuDevice;
  /** How peers open it. */
  readonly kind: "ipc" | "fd";
  /** File in memory that holds the status words, and where in it they begin. */
  readonly status: { readonly name: string; readonly offset: number };
}
