/** Small numbers for block names: caches of millions of blocks compare these, routers see the names. */
export interface BlockNumbers {
  /** The number of each block of a chain; equal names have equal numbers. */
  number(chain: BigUint64Array): Int32Array;
  /** Names of blocks `from` to `to` of a numbered chain. */
  names(numbers: ArrayLike<number>, from?: number, to?: number): BigUint64Array;
  /** The name of the block before this one in its chain; undefined at the beginning. */
  parentName(number: number): bigint | undefined;
}

/** An open-addressed table over the names' 32-bit words: a map of bigints costs ten times as much. */
export function createBlockNumbers(): BlockNumbers {
  let table = new Int32Array(1 << 12).fill(-1);
  let words = new Uint32Array(1 << 12);
  let parents = new Int32Array(1 << 11);
  let count = 0;

  function slotOf(low: number, high: number): number {
    const mask = table.length - 1;
    let slot = Math.imul(low ^ Math.imul(high, 0x9e3779b1), 0x85ebca6b) >>> 7;
    for (slot &= mask; ; slot = (slot + 1) & mask) {
      const number = table[slot]!;
      if (number < 0 || (words[2 * number] === low && words[2 * number + 1] === high)) return slot;
    }
  }

  function grow(): void {
    const more = new Uint32Array(words.length * 2);
    more.set(words);
    words = more;
    const wide = new Int32Array(parents.length * 2);
    wide.set(parents);
    parents = wide;
    table = new Int32Array(table.length * 2).fill(-1);
    for (let number = 0; number < count; number++)
      table[slotOf(words[2 * number]!, words[2 * number + 1]!)] = number;
  }

  function nameOf(number: number): bigint {
    return (BigInt(words[2 * number + 1]!) << 32n) | BigInt(words[2 * number]!);
  }

  return {
    number(chain) {
      const found = new Int32Array(chain.length);
      const given = new Uint32Array(chain.buffer, chain.byteOffset, chain.length * 2);
      for (let i = 0; i < found.length; i++) {
        const low = given[2 * i]!;
        const high = given[2 * i + 1]!;
        const slot = slotOf(low, high);
        let number = table[slot]!;
        if (number < 0) {
          number = count++;
          table[slot] = number;
          words[2 * number] = low;
          words[2 * number + 1] = high;
          parents[number] = i === 0 ? -1 : found[i - 1]!;
          if (count === parents.length) grow();
        }
        found[i] = number;
      }
      return found;
    },
    names(numbers, from = 0, to = numbers.length) {
      const found = new Uint32Array(2 * (to - from));
      for (let i = from; i < to; i++) {
        found[2 * (i - from)] = words[2 * numbers[i]!]!;
        found[2 * (i - from) + 1] = words[2 * numbers[i]! + 1]!;
      }
      return new BigUint64Array(found.buffer);
    },
    parentName(number) {
      const parent = parents[number]!;
      return parent < 0 ? undefined : nameOf(parent);
    },
  };
}
