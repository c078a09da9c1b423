import type { CudaAddon, NativeHandle } from "../cuda-addon.ts";
import { calling, CudaError } from "../cuda-error.ts";
import { keepHandle } from "./handles.ts";

/** Device memory. The collector frees what nobody closed; `address` stays valid while this object lives. */
export interface CudaMemory {
  readonly bytes: number;
  readonly address: bigint;
  /** 64 bytes by which another process of this host opens the same memory (legacy IPC: whole allocations, not in this process). */
  ipcHandle(): Uint8Array;
  /** Memory of `allocateShareable` only: a file descriptor by which another process of this host opens it. The caller closes it. */
  fileDescriptor(): number;
  /** Memory of `allocateShareable` only: 64 bytes by which any node of the NVLink domain opens it. */
  fabricHandle(): Uint8Array;
  close(): void;
}

/** By what memory that is made for sharing can be opened elsewhere; fixed when it is made. */
export type ShareableKind = "fd" | "fabric";

const deviceOf = new WeakMap<CudaMemory, number>();

/** Index of the device that holds it. */
export function deviceOfMemory(memory: CudaMemory): number | undefined {
  return deviceOf.get(memory);
}

export function wrapMemory(
  addon: CudaAddon,
  handle: NativeHandle,
  bytes: number,
  device: number,
): CudaMemory {
  const run = <Value>(call: () => Value): Value => calling("CUDA_DRIVER_FAILED", call);
  const memory = keepHandle<CudaMemory>(
    {
      bytes,
      address: run(() => addon.addressOf(handle)),
      ipcHandle: () => run(() => addon.ipcExport(handle)),
      fileDescriptor: () => run(() => addon.exportFd(handle)),
      fabricHandle: () => run(() => addon.exportFabric(handle)),
      close: () => run(() => addon.close(handle)),
    },
    handle,
  );
  deviceOf.set(memory, device);
  return memory;
}

export function checkBytes(bytes: number): void {
  if (!Number.isSafeInteger(bytes) || bytes < 1)
    throw new CudaError("CUDA_INVALID", `bytes must be a positive integer, not ${bytes}.`, { bytes });
}

export function checkRange(offset: number, bytes: number, size: number): void {
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
