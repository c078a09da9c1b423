import type { Clock } from "@stator/core";

export function withinMs<Value>(
  clock: Clock,
  waitMs: number,
  promise: Promise<Value>,
): Promise<Value | undefined> {
  return new Promise((resolve, reject) => {
    const timer = clock.schedule(waitMs, () => resolve(undefined));
    promise.then(resolve, reject).finally(() => timer.cancel());
  });
}

export interface Gap {
  /** Resolves after `waitMs`, or as soon as it is ended. One waiter at a time. */
  pass(waitMs: number): Promise<void>;
  end(): void;
}

/** A pause on the wire's own time, which no test may stop. */
export function createGap(): Gap {
  let go: (() => void) | undefined;
  return {
    pass: (waitMs) =>
      new Promise((resolve) => {
        const timer = setTimeout(() => go?.(), waitMs);
        go = () => {
          go = undefined;
          clearTimeout(timer);
          resolve();
        };
      }),
    end: () => go?.(),
  };
}

export interface Waiters {
  wait(): Promise<void>;
  release(): void;
}

export function createWaiters(): Waiters {
  let waiting: (() => void)[] = [];
  return {
    wait: () => new Promise((resolve) => waiting.push(resolve)),
    release() {
      const released = waiting;
      waiting = [];
      for (const resolve of released) resolve();
    },
  };
}
