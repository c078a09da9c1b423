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
  // Entry 0 anchors the ring, value v is entry v + 1; an entry takes two words, previous and next, so that it is in one
  // cache line. One whose `previous` is -1 is not in the ring.
  let links = new Int32Array(2048).fill(-1);
  links[0] = 0;
  links[1] = 0;
  let size = 0;

  function remove(value: number): boolean {
    const at = 2 * value + 2;
    if (at >= links.length || links[at]! < 0) return false;
    const previous = links[at]!;
    const next = links[at + 1]!;
    links[2 * previous + 1] = next;
    links[2 * next] = previous;
    links[at] = -1;
    size--;
    return true;
  }

  return {
    get size() {
      return size;
    },
    has: (value) => 2 * value + 2 < links.length && links[2 * value + 2]! >= 0,
    add(value) {
      const entry = value + 1;
      if (2 * entry >= links.length) {
        const old = links;
        links = new Int32Array(Math.max(old.length * 2, 2 * entry + 2));
        links.set(old);
        links.fill(-1, old.length);
      }
      const last = links[0]!;
      links[2 * last + 1] = entry;
      links[2 * entry] = last;
      links[2 * entry + 1] = 0;
      links[0] = entry;
      size++;
    },
    delete: remove,
    shift() {
      if (size === 0) return -1;
      const value = links[1]! - 1;
      remove(value);
      return value;
    },
  };
}
