import { calling, CudaError, toCudaError } from "./cuda-error.ts";
import { type CudaAddon, loadCudaAddon, type NativeHandle } from "./cuda-addon.ts";
import { kvKernelsPtx } from "./kernels/kv-kernels.ts";

/** The driver's library as the loader finds it. */
export const defaultCudaLibrary = "libcuda.so.1";

export interface CudaOptions {
  /** Library to open. Default `libcuda.so.1`. */
  readonly library?: string;
}

export interface CudaDevice {
  readonly index: number;
  readonly name: string;
  readonly pciBusId: string;
  /** As nvidia-smi prints it: `GPU-xxxxxxxx-…`. */
  readonly uuid: string;
  readonly totalBytes: number;
  /** Compute capability, `9.0` for Hopper. */
  readonly computeCapability: string;
  readonly multiprocessors: number;
}

/** Order of work on a device. Closing it lets work that was given to it finish. */
export interface CudaStream {
  readonly isIdle: boolean;
  /** Resolves when everything given so far is done; rejects with what failed. */
  synchronize(): Promise<void>;
  /** Later work of this stream waits for the event. */
  wait(event: CudaEvent): void;
  close(): void;
}

export interface CudaEvent {
  readonly isDone: boolean;
  record(stream?: CudaStream): void;
  /** Milliseconds from `earlier`, both done. */
  since(earlier: CudaEvent): number;
  close(): void;
}

/** Device memory. The collector frees what nobody closed; `address` stays valid while this object lives. */
export interface CudaMemory {
  readonly bytes: number;
  readonly address: bigint;
  /** 64 bytes by which another process of this host opens the same memory (legacy IPC: whole allocations, not in this process). */
  ipcHandle(): Uint8Array;
  close(): void;
}

/** Where a copy starts. */
export interface CopyOptions {
  readonly targetOffset?: number;
  readonly sourceOffset?: number;
  /** Default: to the end of the shorter side. */
  readonly bytes?: number;
  readonly stream?: CudaStream;
}

/** One device, ready for work. */
export interface CudaContext {
  readonly device: CudaDevice;
  memoryInfo(): { readonly freeBytes: number; readonly totalBytes: number };
  allocate(bytes: number): CudaMemory;
  /** Page-locked host memory; copies from and to it run at full bus speed and truly in the background. */
  pinned(bytes: number): Uint8Array;
  openIpc(handle: Uint8Array, bytes: number): CudaMemory;
  createStream(): CudaStream;
  createEvent(): CudaEvent;
  /** Host to device, device to host, or device to device, by what the two sides are. The host side must stay unchanged until the stream is synchronized. */
  copy(target: CudaMemory | Uint8Array, source: CudaMemory | Uint8Array, options?: CopyOptions): void;
  fill(
    memory: CudaMemory,
    value: number,
    options?: { readonly offset?: number; readonly bytes?: number; readonly stream?: CudaStream },
  ): void;
  enablePeer(other: CudaContext): void;
  /** Runs one of the KV kernels (`stator_copy_table`, `stator_regroup`, `stator_fp8_to_bf16`, `stator_checksum`): numbers are 32-bit, bigints 64-bit arguments. */
  launch(
    kernel: string,
    options: {
      readonly grid: number;
      readonly block: number;
      readonly args: readonly (number | bigint)[];
      readonly stream?: CudaStream;
    },
  ): void;
}

export interface Cuda {
  /** 12040 for CUDA 12.4. */
  readonly driverVersion: number;
  readonly devices: readonly CudaDevice[];
  canAccessPeer(device: number, peer: number): boolean;
  /** The device's primary context, the one that engines in this process use too. */
  context(device: number): CudaContext;
}

/**
 * Opens the CUDA driver.
 *
 * @throws CudaError CUDA_UNAVAILABLE with the reason: no addon, no driver, one too old, no device
 */
export function openCuda({ library = defaultCudaLibrary }: CudaOptions = {}): Cuda {
  const loaded = loadCudaAddon();
  if (!loaded.isAvailable)
    throw new CudaError("CUDA_UNAVAILABLE", `CUDA is not available: ${loaded.reason}.`);
  const { addon } = loaded;
  const native = calling("CUDA_DRIVER_FAILED", () => new addon.Cuda(library));
  const devices = calling("CUDA_DRIVER_FAILED", () => native.devices()).map(
    ({ uuid, major, minor, ...device }): CudaDevice => ({
      ...device,
      uuid: uuidText(uuid),
      computeCapability: `${major}.${minor}`,
    }),
  );
  if (devices.length === 0)
    throw new CudaError(
      "CUDA_UNAVAILABLE",
      "CUDA is not available: the driver sees no device (CUDA_VISIBLE_DEVICES?).",
    );
  return {
    driverVersion: calling("CUDA_DRIVER_FAILED", () => native.driverVersion()),
    devices,
    canAccessPeer: (device, peer) => calling("CUDA_DRIVER_FAILED", () => native.canAccessPeer(device, peer)),
    context(index) {
      const device = devices[index];
      if (device === undefined)
        throw new CudaError(
          "CUDA_INVALID",
          `There is no CUDA device ${index}: ${devices.length} are visible.`,
          { index },
        );
      return createContext(
        addon,
        calling("CUDA_DRIVER_FAILED", () => native.retain(index)),
        device,
      );
    },
  };
}

function uuidText(raw: Uint8Array): string {
  const hex = Buffer.from(raw).toString("hex");
  return `GPU-${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

const handles = new WeakMap<object, NativeHandle>();
const contexts = new WeakMap<object, NativeHandle>();

function handleOf(owner: object | undefined): NativeHandle | undefined {
  return owner === undefined ? undefined : handles.get(owner);
}

function need(owner: object): NativeHandle {
  const handle = handles.get(owner);
  if (handle === undefined) throw new CudaError("CUDA_INVALID", "This is not a handle of this package.");
  return handle;
}

function createContext(addon: CudaAddon, native: NativeHandle, device: CudaDevice): CudaContext {
  const run = <Value>(call: () => Value): Value => calling("CUDA_DRIVER_FAILED", call);
  const keep = <Owner extends object>(owner: Owner, handle: NativeHandle): Owner => {
    handles.set(owner, handle);
    return owner;
  };
  let kernels: NativeHandle | undefined;
  const wrapMemory = (handle: NativeHandle, bytes: number): CudaMemory => {
    const address = run(() => addon.addressOf(handle));
    const memory = keep<CudaMemory>(
      {
        bytes,
        address,
        ipcHandle: () => run(() => addon.ipcExport(handle)),
        close: () => run(() => addon.close(handle)),
      },
      handle,
    );
    memoryContexts.set(memory, context);
    return memory;
  };
  const context: CudaContext = {
    device,
    memoryInfo: () => run(() => addon.memoryInfo(native)),
    allocate(bytes) {
      checkBytes(bytes);
      return wrapMemory(
        run(() => addon.allocate(native, bytes)),
        bytes,
      );
    },
    pinned(bytes) {
      checkBytes(bytes);
      return new Uint8Array(run(() => addon.pinned(native, bytes)));
    },
    openIpc(handle, bytes) {
      checkBytes(bytes);
      return wrapMemory(
        run(() => addon.ipcImport(native, handle)),
        bytes,
      );
    },
    createStream() {
      const handle = run(() => addon.createStream(native));
      return keep<CudaStream>(
        {
          get isIdle() {
            return run(() => addon.isStreamIdle(handle));
          },
          synchronize: () =>
            new Promise((resolve, reject) => {
              run(() =>
                addon.synchronize(handle, (code, result) => {
                  if (code === undefined) resolve();
                  else
                    reject(
                      toCudaError("CUDA_DRIVER_FAILED", {
                        code: code || "CUDA_ERROR_UNKNOWN",
                        message: "cuStreamSynchronize failed",
                        result,
                      }),
                    );
                }),
              );
            }),
          wait: (event) => run(() => addon.waitEvent(handle, need(event))),
          close: () => run(() => addon.close(handle)),
        },
        handle,
      );
    },
    createEvent() {
      const handle = run(() => addon.createEvent(native));
      return keep<CudaEvent>(
        {
          get isDone() {
            return run(() => addon.isEventDone(handle));
          },
          record: (stream) => run(() => addon.recordEvent(handle, handleOf(stream))),
          since: (earlier) => run(() => addon.elapsedMs(need(earlier), handle)),
          close: () => run(() => addon.close(handle)),
        },
        handle,
      );
    },
    copy(target, source, { targetOffset = 0, sourceOffset = 0, bytes, stream } = {}) {
      const sizeOf = (side: CudaMemory | Uint8Array): number =>
        side instanceof Uint8Array ? side.byteLength : side.bytes;
      const length = bytes ?? Math.min(sizeOf(target) - targetOffset, sizeOf(source) - sourceOffset);
      checkRange(targetOffset, length, sizeOf(target));
      checkRange(sourceOffset, length, sizeOf(source));
      const isHostTarget = target instanceof Uint8Array;
      const isHostSource = source instanceof Uint8Array;
      if (isHostTarget && isHostSource)
        throw new CudaError("CUDA_INVALID", "Both sides of the copy are host memory: use TypedArray.set.");
      const isBetweenDevices =
        !isHostTarget &&
        !isHostSource &&
        memoryContexts.get(target)?.device.index !== memoryContexts.get(source)?.device.index;
      const kind = isHostSource ? 0 : isHostTarget ? 1 : isBetweenDevices ? 3 : 2;
      run(() =>
        addon.copy(
          kind,
          isHostTarget ? target : need(target),
          targetOffset,
          isHostSource ? source : need(source),
          sourceOffset,
          length,
          handleOf(stream),
        ),
      );
    },
    fill(memory, value, { offset = 0, bytes = memory.bytes - offset, stream } = {}) {
      checkRange(offset, bytes, memory.bytes);
      run(() => addon.fill(need(memory), offset, value, bytes, handleOf(stream)));
    },
    enablePeer: (other) => run(() => addon.enablePeer(native, contexts.get(other) ?? native)),
    launch(kernel, { grid, block, args, stream }) {
      kernels ??= run(() => addon.loadModule(native, kvKernelsPtx));
      const module = kernels;
      run(() => addon.launch(module, kernel, grid, block, args, handleOf(stream)));
    },
  };
  contexts.set(context, native);
  return context;
}

const memoryContexts = new WeakMap<object, CudaContext>();

function checkBytes(bytes: number): void {
  if (!Number.isSafeInteger(bytes) || bytes < 1)
    throw new CudaError("CUDA_INVALID", `bytes must be a positive integer, not ${bytes}.`, { bytes });
}

function checkRange(offset: number, bytes: number, size: number): void {
  if (
    Number.isSafeInteger(offset) &&
    Number.isSafeInteger(bytes) &&
    offset >= 0 &&
    bytes >= 1 &&
    bytes <= size - offset
  )
    return;
  throw new CudaError("CUDA_INVALID", `Offset ${offset}, length ${bytes} is not inside ${size} bytes.`, {
    offset,
    bytes,
    size,
  });
}
