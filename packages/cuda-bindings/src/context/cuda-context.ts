import type { CudaAddon, NativeHandle } from "../cuda-addon.ts";
import { calling, CudaError } from "../cuda-error.ts";
import type { CudaDevice } from "../cuda.ts";
import { kvKernelsPtx } from "../kernels/kv-kernels.ts";
import { handleOf, keepHandle, needHandle } from "./handles.ts";
import {
  checkBytes,
  checkRange,
  deviceOfMemory,
  wrapMemory,
  type CudaMemory,
  type ShareableKind,
} from "./memory.ts";
import { createEvent, createStream, holdForStream, type CudaEvent, type CudaStream } from "./order.ts";

/** Where a copy starts. */
export interface CopyOptions {
  readonly targetOffset?: number;
  readonly sourceOffset?: number;
  /** Default: to the end of the shorter side. */
  readonly bytes?: number;
  /** Without one, the call returns when the copy is done. */
  readonly stream?: CudaStream;
}

/** One device, ready for work. Work without a stream is done when its call returns. */
export interface CudaContext {
  readonly device: CudaDevice;
  memoryInfo(): { readonly freeBytes: number; readonly totalBytes: number };
  allocate(bytes: number): CudaMemory;
  /** Out of the device's pool, in the order of the stream: microseconds in place of a device-wide stop. @throws CudaError CUDA_UNAVAILABLE if the driver has none */
  allocatePooled(bytes: number, stream: CudaStream): CudaMemory;
  /** Memory that other processes can open by handles of these kinds, and that stays while one of them has it. Rounded up to 2 MiB. */
  allocateShareable(bytes: number, kinds: readonly ShareableKind[]): CudaMemory;
  /** Page-locked host memory; copies from and to it run at full bus speed and truly in the background. */
  pinned(bytes: number): Uint8Array;
  openIpc(handle: Uint8Array, bytes: number): CudaMemory;
  /** Memory of another process's `allocateShareable`: its file descriptor, passed to this process, or its fabric handle, and its `bytes`. */
  openShareable(handle: number | Uint8Array, bytes: number): CudaMemory;
  createStream(): CudaStream;
  createEvent(): CudaEvent;
  /** Host to device, device to host, or device to device, by what the two sides are. The host side must stay unchanged until the stream is synchronized; until then it is held. */
  copy(target: CudaMemory | Uint8Array, source: CudaMemory | Uint8Array, options?: CopyOptions): void;
  fill(
    memory: CudaMemory,
    value: number,
    options?: { readonly offset?: number; readonly bytes?: number; readonly stream?: CudaStream },
  ): void;
  enablePeer(other: CudaContext): void;
  /** Runs one of the KV kernels (`stator_copy_table`, `stator_regroup`, `stator_permute`, `stator_fp8_to_bf16`, `stator_bf16_to_fp8`, `stator_checksum`): numbers are 32-bit, bigints 64-bit arguments. */
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

const kindBits: Readonly<Record<ShareableKind, number>> = { fd: 1, fabric: 8 };

export function createContext(addon: CudaAddon, native: NativeHandle, device: CudaDevice): CudaContext {
  const run = <Value>(call: () => Value): Value => calling("CUDA_DRIVER_FAILED", call);
  const wrap = (handle: NativeHandle, bytes: number): CudaMemory =>
    wrapMemory(addon, handle, bytes, device.index);
  let kernels: NativeHandle | undefined;
  const context: CudaContext = {
    device,
    memoryInfo: () => run(() => addon.memoryInfo(native)),
    allocate(bytes) {
      checkBytes(bytes);
      return wrap(
        run(() => addon.allocate(native, bytes)),
        bytes,
      );
    },
    allocatePooled(bytes, stream) {
      checkBytes(bytes);
      return wrap(
        run(() => addon.allocatePooled(native, bytes, needHandle(stream))),
        bytes,
      );
    },
    allocateShareable(bytes, kinds) {
      checkBytes(bytes);
      const bits = kinds.reduce((all, kind) => all | kindBits[kind], 0);
      if (bits === 0)
        throw new CudaError("CUDA_INVALID", 'kinds must name at least one of "fd" and "fabric".');
      const unit = run(() => addon.granularity(native, bits));
      const whole = Math.ceil(bytes / unit) * unit;
      return wrap(
        run(() => addon.allocateShareable(native, whole, bits)),
        whole,
      );
    },
    pinned(bytes) {
      checkBytes(bytes);
      return new Uint8Array(run(() => addon.pinned(native, bytes)));
    },
    openIpc(handle, bytes) {
      checkBytes(bytes);
      return wrap(
        run(() => addon.ipcImport(native, handle)),
        bytes,
      );
    },
    openShareable(handle, bytes) {
      checkBytes(bytes);
      return wrap(
        run(() => addon.importShareable(native, handle, bytes)),
        bytes,
      );
    },
    createStream: () => createStream(addon, native),
    createEvent: () => createEvent(addon, native),
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
        !isHostTarget && !isHostSource && deviceOfMemory(target) !== deviceOfMemory(source);
      const kind = isHostSource ? 0 : isHostTarget ? 1 : isBetweenDevices ? 3 : 2;
      if (stream !== undefined && isHostTarget) holdForStream(stream, target);
      if (stream !== undefined && isHostSource) holdForStream(stream, source);
      run(() =>
        addon.copy(
          kind,
          isHostTarget ? target : needHandle(target),
          targetOffset,
          isHostSource ? source : needHandle(source),
          sourceOffset,
          length,
          handleOf(stream),
        ),
      );
    },
    fill(memory, value, { offset = 0, bytes = memory.bytes - offset, stream } = {}) {
      checkRange(offset, bytes, memory.bytes);
      run(() => addon.fill(needHandle(memory), offset, value, bytes, handleOf(stream)));
    },
    enablePeer: (other) => run(() => addon.enablePeer(native, needHandle(other))),
    launch(kernel, { grid, block, args, stream }) {
      kernels ??= run(() => addon.loadModule(native, kvKernelsPtx));
      const module = kernels;
      run(() => addon.launch(module, kernel, grid, block, args, handleOf(stream)));
    },
  };
  return keepHandle(context, native);
}
