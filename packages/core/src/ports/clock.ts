/** A running timer; `cancel` is idempotent. */
export interface Timer {
  cancel(): void;
}

/**
 * Time as the libraries see it: monotonic, injected. Virtual clocks of the tests and the simulator implement it too.
 */
export interface Clock {
  /** Milliseconds on a monotonic clock with an arbitrary origin. Never compare between processes. */
  now(): number;
  /** Calls `fn` once, `delayMs` from now. A pending timer does not keep the process alive. */
  schedule(delayMs: number, fn: () => void): Timer;
}

interface HostTimer {
  unref?(): void;
}

/** The machine's own monotonic clock. */
export const systemClock: Clock = {
  now: () => performance.now(),
  schedule(delayMs, fn) {
    const handle = setTimeout(fn, delayMs);
    (handle as unknown as HostTimer).unref?.();
    return { cancel: () => clearTimeout(handle) };
  },
};

/** Resolves after `delayMs` on `clock`, or rejects with the signal's reason. */
export function sleep(clock: Clock, delayMs: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted === true) {
      reject(signal.reason as Error);
      return;
    }
    const onAbort = (): void => {
      timer.cancel();
      reject(signal?.reason as Error);
    };
    const timer = clock.schedule(delayMs, () => {
      signal?.removeEventListener("abort", onAbort);
      resolve();
    });
    signal?.addEventListener("abort", onAbort, { once: true });
  });
}
