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

/** Single tokens first, so that a long prompt does not make running streams wait; prompts share what is left. */
export function createStepCounter(batchTokens: number): StepCounter {
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
      let left = Math.min(size, batchTokens);
      const ordered = [...items].sort((a, b) => a.tokens.length - b.tokens.length);
      const chosen: PrioritizedBatchItem[] = [];
      for (const item of ordered) {
        const processAmount = Math.min(item.tokens.length, left);
        if (processAmount === 0) break;
        left -= processAmount;
        chosen.push({ item, processAmount });
      }
      listener(Math.min(size, batchTokens) - left);
      return chosen;
    },
  };
}
