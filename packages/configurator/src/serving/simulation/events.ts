/** What happens when, in virtual milliseconds. */
export interface Events {
  readonly at: (ms: number, run: () => void) => void;
  readonly now: () => number;
  readonly run: () => void;
}

/** A binary heap of what happens when; ties in the order they were made. */
export function createEvents(): Events {
  const heap: { ms: number; order: number; run: () => void }[] = [];
  let now = 0;
  let made = 0;
  const isBefore = (a: number, b: number): boolean => {
    const [left, right] = [heap[a], heap[b]];
    return !!left && !!right && (left.ms < right.ms || (left.ms === right.ms && left.order < right.order));
  };
  const swap = (a: number, b: number): void => {
    const [left, right] = [heap[a], heap[b]];
    if (left && right) [heap[a], heap[b]] = [right, left];
  };
  return {
    now: () => now,
    at(ms, run) {
      heap.push({ ms, order: made++, run });
      for (
        let child = heap.length - 1, parent = (child - 1) >> 1;
        child > 0 && isBefore(child, parent);
        child = parent, parent = (child - 1) >> 1
      )
        swap(child, parent);
    },
    run() {
      for (let first = heap[0]; first; first = heap[0]) {
        const last = heap.pop();
        if (heap.length > 0 && last) {
          heap[0] = last;
          for (let parent = 0; ;) {
            const left = 2 * parent + 1;
            const least = isBefore(left + 1, left) ? left + 1 : left;
            if (!isBefore(least, parent)) break;
            swap(least, parent);
            parent = least;
          }
        }
        now = first.ms;
        first.run();
      }
    },
  };
}
