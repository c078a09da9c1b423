/** Small numbers for block names: caches of millions of blocks compare these, routers see the names. */
export interface BlockNumbers {
  /** Names by number. */
  readonly names: readonly bigint[];
  /** The number of the block before, -1 at the beginning of a chain. */
  readonly parents: readonly number[];
  number(chain: BigUint64Array): Int32Array;
}

export function createBlockNumbers(): BlockNumbers {
  const numbers = new Map<bigint, number>();
  const names: bigint[] = [];
  const parents: number[] = [];
  return {
    names,
    parents,
    number(chain) {
      const found = new Int32Array(chain.length);
      for (let i = 0; i < chain.length; i++) {
        const name = chain[i]!;
        let number = numbers.get(name);
        if (number === undefined) {
          number = names.length;
          numbers.set(name, number);
          names.push(name);
          parents.push(i === 0 ? -1 : found[i - 1]!);
        }
        found[i] = number;
      }
      return found;
    },
  };
}
