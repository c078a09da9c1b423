/** How many requests may be on their way to another worker at once. Others wait in line: nobody is lost for it. */
export interface RetryBudget {
  readonly active: number;
  readonly retrying: number;
  readonly waiting: number;
  /** A request begins. Returns how to end it. */
  enter(): () => void;
  /** Waits for a place; returns how to give it back, once and at the latest when the new attempt speaks. */
  acquire(signal: AbortSignal): Promise<() => void>;
}

export interface RetryBudgetOptions {
  /** Share of the active requests. Default 0.2. */
  readonly ratio?: number;
  /** At least this many. Default 3. */
  readonly min?: number;
}

/** Envoy's retry budget, 20 % and at least 3, as a line instead of a refusal. */
export function createRetryBudget({ ratio = 0.2, min = 3 }: RetryBudgetOptions = {}): RetryBudget {
  const line = new Set<() => void>();
  let active = 0;
  let retrying = 0;

  const limit = (): number => Math.max(min, Math.floor(active * ratio));
  const admit = (): void => {
    for (const start of line) {
      if (retrying >= limit()) return;
      line.delete(start);
      start();
    }
  };
  const hold = (): (() => void) => {
    retrying += 1;
    let isHeld = true;
    return () => {
      if (!isHeld) return;
      isHeld = false;
      retrying -= 1;
      admit();
    };
  };

  return {
    get active() {
      return active;
    },
    get retrying() {
      return retrying;
    },
    get waiting() {
      return line.size;
    },
    enter() {
      active += 1;
      let isIn = true;
      return () => {
        if (!isIn) return;
        isIn = false;
        active -= 1;
        admit();
      };
    },
    acquire(signal) {
      return new Promise((resolve, reject) => {
        if (signal.aborted) {
          reject(signal.reason as Error);
          return;
        }
        if (line.size === 0 && retrying < limit()) {
          resolve(hold());
          return;
        }
        const start = (): void => {
          signal.removeEventListener("abort", onAbort);
          resolve(hold());
        };
        const onAbort = (): void => {
          line.delete(start);
          reject(signal.reason as Error);
        };
        line.add(start);
        signal.addEventListener("abort", onAbort, { once: true });
      });
    },
  };
}
