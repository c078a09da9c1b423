import type { BatchItem, PrioritizedBatchItem } from "node-llama-cpp";

/** Watches llama.cpp's batches, and orders what goes into each. */
export interface StepCounter {
  /** Batches begun since the start. */
  readonly begun: number;
  /** node-llama-cpp calls this before each batch. */
  strategy(options: { readonly items: readonly BatchItem[]; readonly size: number }): PrioritizedBatchItem[];
  /** Called when a batch begins. */
  onStep(listener: (tokens: number) => void): void;
}

/** One batch out of what is queued: tokens of each item, at most `size` in all. */
type Choose = (items: readonly BatchItem[], size: number) => PrioritizedBatchItem[];

/** Single tokens first, so that a long prompt does not make running streams wait; prompts share what is left. */
const mixed: Choose = (items, size) => {
  let left = size;
  const chosen: PrioritizedBatchItem[] = [];
  for (const item of [...items].sort((a, b) => a.tokens.length - b.tokens.length)) {
    const processAmount = Math.min(item.tokens.length, left);
    if (processAmount === 0) break;
    left -= processAmount;
    chosen.push({ item, processAmount });
  }
  return chosen;
};

/**
 * One sequence per batch, in order of arrival, and never one token left over: the kernels for one token, for a few and for
 * many round differently in the last digits. On one thread company gains nothing anyway.
 */
const exact: Choose = ([item], size) => {
  if (item === undefined) return [];
  const { length } = item.tokens;
  return [{ item, processAmount: length <= size ? length : length === size + 1 ? size - 1 : size }];
};

/** `isExact`: what shares a batch, and how a prompt is split, changes no bit of the result. */
export function createStepCounter(batchTokens: number, isExact: boolean): StepCounter {
  const choose = isExact ? exact : mixed;
  let begun = 0;
  let listener = (_tokens: number): void => {};
  return {
    get begun() {
      return begun;
    },
    onStep(fn) {
      listener = fn;
    },
    strategy({ items, size }) {
      begun++;
      const chosen = choose(items, Math.min(size, batchTokens));
      listener(chosen.reduce((sum, { processAmount }) => sum + processAmount, 0));
      return chosen;
    },
  };
}
