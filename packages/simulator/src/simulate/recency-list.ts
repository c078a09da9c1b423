/** Numbers in the order of their last use: a linked list in arrays, so that moving one costs no memory. */
export interface RecencyList {
  readonly size: number;
  has(value: number): boolean;
  /** As the most recent one; it must not be there. */
  add(value: number): void;
  /** Whether it was there. */
  delete(value: number): boolean;
  /** Takes out the least recent one; -1 when empty. */
  shift(): number;
}

export function createRecencyList(): RecencyList {
  // Entry 0 anchors the ring, value v is entry v + 1; an entry whose `previous` is -1 is not in it.
  let next = new Int32Array(1024);
  let previous = new Int32Array(1024).fill(-1);
  previous[0] = 0;
  let size = 0;

  function remove(value: number): boolean {
    const entry = value + 1;
    if (entry >= next.length || previous[entry]! < 0) return false;
    next[previous[entry]!] = next[entry]!;
    previous[next[entry]!] = previous[entry]!;
    previous[entry] = -1;
    size--;
    return true;
  }

  return {
    get size() {
      return size;
    },
    has: (value) => value + 1 < next.length && previous[value + 1]! >= 0,
    add(value) {
      const entry = value + 1;
      if (entry >= next.length) {
        const length = Math.max(next.length * 2, entry + 1);
        const [oldNext, oldPrevious] = [next, previous];
        next = new Int32Array(length);
        next.set(oldNext);
        previous = new Int32Array(length).fill(-1);
        previous.set(oldPrevious);
      }
      const last = previous[0]!;
      next[last] = entry;
      previous[entry] = last;
      next[entry] = 0;
      previous[0] = entry;
      size++;
    },
    delete: remove,
    shift() {
      if (size === 0) return -1;
      const value = next[0]! - 1;
      remove(value);
      return value;
    },
  };
}
