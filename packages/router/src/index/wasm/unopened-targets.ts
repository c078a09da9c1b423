import { MAX_TARGETS } from "../prefix-index.ts";

/** Target numbers given out before an index holds anything; replayed when its memory is opened. */
export interface UnopenedTargets {
  targets(): number;
  addTarget(): number;
  removeTarget(target: number): void;
  /** Gives out the same numbers, and frees the same. */
  replay(to: { addTarget(): number; removeTarget(target: number): void }): void;
}

export function createUnopenedTargets(): UnopenedTargets {
  const free: number[] = [];
  let count = 0;
  return {
    targets: () => count,
    addTarget: () => free.pop() ?? (count < MAX_TARGETS ? count++ : -1),
    removeTarget: (target) => void free.push(target),
    replay(to) {
      for (let i = 0; i < count; i++) to.addTarget();
      for (const target of free) to.removeTarget(target);
    },
  };
}
