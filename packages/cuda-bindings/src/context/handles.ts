import type { NativeHandle } from "../cuda-addon.ts";
import { CudaError } from "../cuda-error.ts";

const handles = new WeakMap<object, NativeHandle>();

/** Ties a native handle to the object that stands for it. */
export function keepHandle<Owner extends object>(owner: Owner, handle: NativeHandle): Owner {
  handles.set(owner, handle);
  return owner;
}

export function handleOf(owner: object | undefined): NativeHandle | undefined {
  return owner === undefined ? undefined : needHandle(owner);
}

/** @throws CudaError CUDA_INVALID for an object that is none of this package */
export function needHandle(owner: object): NativeHandle {
  const handle = handles.get(owner);
  if (handle === undefined) throw new CudaError("CUDA_INVALID", "This is not a handle of this package.");
  return handle;
}
