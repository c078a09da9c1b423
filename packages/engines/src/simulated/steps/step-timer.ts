import { systemClock, type Clock } from "@stator/core";

export interface StepTimer {
  /** Calls `fn` once after `delayMs`; 0 on the machine's clock is the next turn of the event loop. */
  after(delayMs: number, fn: () => void): () => void;
}

interface TurnHost {
  readonly setImmediate?: (fn: () => void) => unknown;
  readonly clearImmediate?: (handle: unknown) => void;
}

const host: TurnHost = globalThis as TurnHost;

/**
 * Runs steps on a clock. On the machine's clock a pending step keeps the process alive, unlike other timers: it is
 * work that a caller waits for.
 */
export function createStepTimer(clock: Clock): StepTimer {
  if (clock !== systemClock) {
    return {
      after(delayMs, fn) {
        const timer = clock.schedule(delayMs, fn);
        return () => timer.cancel();
      },
    };
  }
  return {
    after(delayMs, fn) {
      if (delayMs <= 0 && host.setImmediate !== undefined) {
        const handle = host.setImmediate(fn);
        return () => host.clearImmediate?.(handle);
      }
      const handle = setTimeout(fn, delayMs);
      return () => clearTimeout(handle);
    },
  };
}
