import { stuckAfterMs, type Deadlines } from "./deadlines.ts";

const remembered = 256;

/** Whether an engine goes on with its work. */
export interface Progress {
  /** One look at its step counter. */
  see(
    nowMs: number,
    step: number | undefined,
    work: number | undefined,
    stepExpectedMs: number | undefined,
  ): void;
  /** Work, but no step for longer than it may take. */
  isStuck(nowMs: number): boolean;
  readonly hasWork: boolean;
  /** Nothing is seen any more. */
  stop(): void;
  /** Forgets the wait so far: our own loop was late. */
  restart(nowMs: number): void;
  /** 99th percentile of the time between steps while there was work. */
  p99Ms(): number;
}

export function createProgress(deadlines: Deadlines): Progress {
  const gaps = new Float64Array(remembered);
  let count = 0;
  let lastStep = -1;
  let lastProgressMs = 0;
  let hasWork = false;
  let expectedMs = 0;

  const p99Ms = (): number => {
    const known = gaps.slice(0, Math.min(count, remembered)).sort();
    return known.length === 0 ? 0 : known[Math.min(known.length - 1, Math.ceil(known.length * 0.99) - 1)]!;
  };

  const isTooLong = (nowMs: number): boolean => {
    const waitedMs = nowMs - lastProgressMs;
    return waitedMs > deadlines.stuckMs && waitedMs > stuckAfterMs(deadlines, p99Ms(), expectedMs);
  };

  return {
    get hasWork() {
      return hasWork;
    },
    see(nowMs, step, work, stepExpectedMs) {
      if (stepExpectedMs !== undefined) expectedMs = stepExpectedMs;
      if (step !== undefined && step !== lastStep) {
        // A gap in which the engine idled, or was stuck, says nothing about its pace: the next one must not be given longer.
        if (hasWork && lastStep >= 0 && !isTooLong(nowMs))
          gaps[count++ % remembered] = nowMs - lastProgressMs;
        lastStep = step;
        lastProgressMs = nowMs;
      }
      if (work !== undefined) {
        if (work > 0 && !hasWork) lastProgressMs = nowMs;
        hasWork = work > 0;
      }
    },
    isStuck: (nowMs) => hasWork && isTooLong(nowMs),
    stop() {
      hasWork = false;
    },
    restart(nowMs) {
      lastProgressMs = nowMs;
    },
    p99Ms,
  };
}
