import type { Clock } from "./clock.ts";

/** A clock that stands still until told to go: tests and simulations in virtual time. */
export interface VirtualClock extends Clock {
  /** Timers that wait. */
  readonly pending: number;
  /** Goes on by `ms`, firing timers at their own time. Synchronous: what awaits a timer runs afterwards. */
  advance(ms: number): void;
  /** Like `advance`, and lets everything that awaits run before each next timer. */
  pass(ms: number): Promise<void>;
  /**
   * Goes from timer to timer until `work` settles.
   *
   * @throws Error when it waits with no timer left, or longer than `limitMs` of virtual time (default one hour).
   */
  run<T>(work: Promise<T>, limitMs?: number): Promise<T>;
}

interface Entry {
  readonly atMs: number;
  readonly order: number;
  readonly fn: () => void;
  isCancelled: boolean;
}

export function createVirtualClock(startMs: number = 0): VirtualClock {
  const heap: Entry[] = [];
  let nowMs = startMs;
  let order = 0;

  const fireNext = (untilMs: number): boolean => {
    while (heap[0]?.isCancelled === true) pop(heap);
    const next = heap[0];
    if (next === undefined || next.atMs > untilMs) return false;
    pop(heap);
    nowMs = Math.max(nowMs, next.atMs);
    next.fn();
    return true;
  };

  const clock: VirtualClock = {
    now: () => nowMs,
    schedule(delayMs, fn) {
      const entry: Entry = { atMs: nowMs + Math.max(0, delayMs), order: order++, fn, isCancelled: false };
      push(heap, entry);
      return { cancel: () => (entry.isCancelled = true) };
    },
    get pending() {
      return heap.filter((entry) => !entry.isCancelled).length;
    },
    advance(ms) {
      const untilMs = nowMs + ms;
      while (fireNext(untilMs));
      nowMs = untilMs;
    },
    async pass(ms) {
      const untilMs = nowMs + ms;
      await settle();
      while (fireNext(untilMs)) await settle();
      nowMs = untilMs;
      await settle();
    },
    async run(work, limitMs = 3_600_000) {
      const untilMs = nowMs + limitMs;
      let isSettled = false;
      const done = (): void => {
        isSettled = true;
      };
      work.then(done, done);
      await settle();
      while (!isSettled) {
        if (!fireNext(untilMs)) {
          // What waits may hang on real I/O: give that a moment before calling it a hang.
          for (let i = 0; i < 100 && !isSettled && clock.pending === 0; i++) await settle();
          if (isSettled) break;
          if (clock.pending === 0)
            throw new Error(`Virtual time stands at ${nowMs} ms: work is unfinished and no timer is left.`);
          if (nowMs >= untilMs || heap[0]!.atMs > untilMs)
            throw new Error(`Work is unfinished after ${limitMs} ms of virtual time.`);
        }
        await settle();
      }
      return work;
    },
  };
  return clock;
}

/** Lets every microtask that is ready run. */
function settle(): Promise<void> {
  return new Promise((resolve) => {
    if (typeof setImmediate === "function") setImmediate(resolve);
    else setTimeout(resolve, 0);
  });
}

function isBefore(a: Entry, b: Entry): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
}

function push(heap: Entry[], entry: Entry): void {
  heap.push(entry);
  let i = heap.length - 1;
  while (i > 0) {
    const parent = (i - 1) >> 1;
    if (!isBefore(heap[i]!, heap[parent]!)) return;
    [heap[i], heap[parent]] = [heap[parent]!, heap[i]!];
    i = parent;
  }
}

function pop(heap: Entry[]): void {
  const last = heap.pop()!;
  if (heap.length === 0) return;
  heap[0] = last;
  let i = 0;
  for (;;) {
    const left = 2 * i + 1;
    if (left >= heap.length) return;
    const child = left + 1 < heap.length && isBefore(heap[left + 1]!, heap[left]!) ? left + 1 : left;
    if (!isBefore(heap[child]!, heap[i]!)) return;
    [heap[i], heap[child]] = [heap[child]!, heap[i]!];
    i = child;
  }
}
