import { traceBlockNames } from "../../workload/block-names-of-trace.ts";
import { TRACE_BLOCK_TOKENS, type TraceRequest } from "../../workload/trace-request.ts";

/** The blocks of one prompt: equal names have equal numbers. */
export interface NumberedBlocks {
  readonly numbers: Int32Array;
  readonly names: BigUint64Array;
}

/** Small numbers for block names: caches of millions of blocks compare these, routers see the names. */
export interface BlockNumbers {
  number(request: TraceRequest): NumberedBlocks;
  /** Names of numbered blocks. */
  names(numbers: ArrayLike<number>): BigUint64Array;
  /** The name of the block before this one in its chain; undefined at the beginning. */
  parentName(number: number): bigint | undefined;
}

export function createBlockNumbers(workload: readonly TraceRequest[], blockTokens: number): BlockNumbers {
  return workload.some((request) => request.names !== undefined)
    ? numbersOfNames(blockTokens)
    : numbersOfIds(blockTokens);
}

/** Names by number, as 32-bit words. */
function createNameTable(): {
  words: Uint32Array;
  parents: Int32Array;
  /** Room for `count` numbers. */
  reserve(count: number): void;
  names: BlockNumbers["names"];
  parentName: BlockNumbers["parentName"];
} {
  const table = {
    words: new Uint32Array(1 << 12),
    parents: new Int32Array(1 << 11),
    reserve(count: number): void {
      if (count <= table.parents.length) return;
      const room = 2 ** Math.ceil(Math.log2(count));
      const words = new Uint32Array(2 * room);
      words.set(table.words);
      table.words = words;
      const parents = new Int32Array(room);
      parents.set(table.parents);
      table.parents = parents;
    },
    names(numbers: ArrayLike<number>): BigUint64Array {
      const { words } = table;
      const found = new Uint32Array(2 * numbers.length);
      for (let i = 0; i < numbers.length; i++) {
        const at = 2 * numbers[i]!;
        found[2 * i] = words[at]!;
        found[2 * i + 1] = words[at + 1]!;
      }
      return new BigUint64Array(found.buffer);
    },
    parentName(number: number): bigint | undefined {
      const parent = table.parents[number]!;
      if (parent < 0) return undefined;
      return (BigInt(table.words[2 * parent + 1]!) << 32n) | BigInt(table.words[2 * parent]!);
    },
  };
  return table;
}

/**
 * Of a trace's ids: all parts of one id are numbered together, so that a prompt costs a look-up for each 512 tokens
 * however small the blocks are, and each name is made once.
 */
function numbersOfIds(blockTokens: number): BlockNumbers {
  const parts = TRACE_BLOCK_TOKENS / blockTokens;
  const firstOf = new Map<number, number>();
  const table = createNameTable();
  let count = 0;

  function add(id: number, before: number): number {
    const first = count;
    table.reserve(first + parts);
    const names = traceBlockNames(
      { atMs: 0, inputTokens: TRACE_BLOCK_TOKENS, outputTokens: 0, blockIds: [id] },
      blockTokens,
    );
    table.words.set(new Uint32Array(names.buffer), 2 * first);
    for (let part = 0; part < parts; part++)
      table.parents[first + part] = part === 0 ? before : first + part - 1;
    firstOf.set(id, first);
    count += parts;
    return first;
  }

  return {
    number({ blockIds, inputTokens }) {
      const length = Math.min(blockIds.length * parts, Math.ceil(inputTokens / blockTokens));
      const numbers = new Int32Array(length);
      for (let i = 0, at = 0; at < length; i++) {
        const id = blockIds[i]!;
        const first = firstOf.get(id) ?? add(id, at === 0 ? -1 : numbers[at - 1]!);
        for (let part = 0; part < parts && at < length; part++) numbers[at++] = first + part;
      }
      return { numbers, names: table.names(numbers) };
    },
    names: (numbers) => table.names(numbers),
    parentName: (number) => table.parentName(number),
  };
}

/** Of any names: an open-addressed table over their 32-bit words; a map of bigints costs ten times as much. */
function numbersOfNames(blockTokens: number): BlockNumbers {
  let slots = new Int32Array(1 << 12).fill(-1);
  const table = createNameTable();
  let count = 0;

  function slotOf(low: number, high: number): number {
    const { words } = table;
    const mask = slots.length - 1;
    let slot = Math.imul(low ^ Math.imul(high, 0x9e3779b1), 0x85ebca6b) >>> 7;
    for (slot &= mask; ; slot = (slot + 1) & mask) {
      const number = slots[slot]!;
      if (number < 0 || (words[2 * number] === low && words[2 * number + 1] === high)) return slot;
    }
  }

  function grow(): void {
    slots = new Int32Array(slots.length * 2).fill(-1);
    const { words } = table;
    for (let number = 0; number < count; number++)
      slots[slotOf(words[2 * number]!, words[2 * number + 1]!)] = number;
  }

  return {
    number(request) {
      const names = request.names ?? traceBlockNames(request, blockTokens);
      const numbers = new Int32Array(names.length);
      const given = new Uint32Array(names.buffer, names.byteOffset, names.length * 2);
      for (let i = 0; i < numbers.length; i++) {
        const low = given[2 * i]!;
        const high = given[2 * i + 1]!;
        const slot = slotOf(low, high);
        let number = slots[slot]!;
        if (number < 0) {
          number = count++;
          table.reserve(count);
          slots[slot] = number;
          table.words[2 * number] = low;
          table.words[2 * number + 1] = high;
          table.parents[number] = i === 0 ? -1 : numbers[i - 1]!;
          if (2 * count >= slots.length) grow();
        }
        numbers[i] = number;
      }
      return { numbers, names };
    },
    names: (numbers) => table.names(numbers),
    parentName: (number) => table.parentName(number),
  };
}
