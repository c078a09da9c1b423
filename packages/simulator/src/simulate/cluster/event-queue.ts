/** What happens when, in virtual milliseconds. Events of the same time run in the order they were made. */
export interface EventQueue {
  now(): number;
  at(atMs: number, run: () => void): void;
  /** Runs everything. `onEvent` is called every 4096 events and may end the run by returning false. */
  run(onEvent?: () => boolean): void;
}

interface Event {
  readonly atMs: number;
  readonly order: number;
  readonly run: () => void;
}

const REPORT_EVENTS = 4096;

/** A binary heap of events. */
export function createEventQueue(): EventQueue {
  const heap: Event[] = [];
  let nowMs = 0;
  let made = 0;
  const isBefore = (a: Event, b: Event): boolean =>
    a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);

  function pop(): Event | undefined {
    const first = heap[0];
    const last = heap.pop();
    if (first === undefined || last === undefined || heap.length === 0) return first;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && isBefore(heap[child + 1]!, heap[child]!)) child++;
      if (!isBefore(heap[child]!, last)) break;
      heap[at] = heap[child]!;
      at = child;
    }
    heap[at] = last;
    return first;
  }

  return {
    now: () => nowMs,
    at(atMs, run) {
      const event: Event = { atMs: Math.max(atMs, nowMs), order: made++, run };
      let at = heap.length;
      while (at > 0) {
        const parent = (at - 1) >> 1;
        if (!isBefore(event, heap[parent]!)) break;
        heap[at] = heap[parent]!;
        at = parent;
      }
      heap[at] = event;
    },
    run(onEvent) {
      let events = 0;
      for (let event = pop(); event !== undefined; event = pop()) {
        nowMs = event.atMs;
        event.run();
        if (++events % REPORT_EVENTS === 0 && onEvent?.() === false) return;
      }
    },
  };
}
