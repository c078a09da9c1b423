import type { CudaAddon, NativeHandle } from "../cuda-addon.ts";
import { calling, toCudaError } from "../cuda-error.ts";
import { handleOf, keepHandle, needHandle } from "./handles.ts";

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
  /** Resolves when the work before its last `record` is done; rejects with what failed. */
  done(): Promise<void>;
  /** Milliseconds from `earlier`, both done. */
  since(earlier: CudaEvent): number;
  close(): void;
}

const run = <Value>(call: () => Value): Value => calling("CUDA_DRIVER_FAILED", call);

/** Host memory that copies of a stream still read or write: the collector must not free it before they are done. */
const inFlight = new WeakMap<CudaStream, Set<Uint8Array>>();

export function holdForStream(stream: CudaStream, memory: Uint8Array): void {
  inFlight.get(stream)?.add(memory);
}

export function createStream(addon: CudaAddon, context: NativeHandle): CudaStream {
  const handle = run(() => addon.createStream(context));
  const held = new Set<Uint8Array>();
  const stream = keepHandle<CudaStream>(
    {
      get isIdle() {
        const isIdle = run(() => addon.isStreamIdle(handle));
        if (isIdle) held.clear();
        return isIdle;
      },
      async synchronize() {
        const done = [...held];
        await told("cuStreamSynchronize", (tell) => addon.synchronize(handle, tell));
        for (const memory of done) held.delete(memory);
      },
      wait: (event) => run(() => addon.waitEvent(handle, needHandle(event))),
      close() {
        // Its work goes on, and what it uses is held until then.
        if (held.size > 0) run(() => addon.synchronize(handle, () => held.clear()));
        run(() => addon.close(handle));
      },
    },
    handle,
  );
  inFlight.set(stream, held);
  return stream;
}

export function createEvent(addon: CudaAddon, context: NativeHandle): CudaEvent {
  const handle = run(() => addon.createEvent(context));
  return keepHandle<CudaEvent>(
    {
      get isDone() {
        return run(() => addon.isEventDone(handle));
      },
      record: (stream) => run(() => addon.recordEvent(handle, handleOf(stream))),
      done: () => told("cuEventSynchronize", (tell) => addon.awaitEvent(handle, tell)),
      since: (earlier) => run(() => addon.elapsedMs(needHandle(earlier), handle)),
      close: () => run(() => addon.close(handle)),
    },
    handle,
  );
}

/** A wait that a thread of the addon ends. */
function told(call: string, start: (tell: (code?: string, result?: number) => void) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    run(() =>
      start((code, result) => {
        if (code === undefined) resolve();
        else
          reject(
            toCudaError("CUDA_DRIVER_FAILED", {
              code: code || "CUDA_ERROR_UNKNOWN",
              message: `${call} failed`,
              result,
            }),
          );
      }),
    );
  });
}
