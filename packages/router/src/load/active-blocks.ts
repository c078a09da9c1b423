import { wordsOf } from "../index/typed/words-of-names.ts";
import { IndexMemory } from "../index/typed/index-memory.ts";
import { CHILDREN_TIERS, ResidencyNodes } from "../index/typed/residency-nodes.ts";
import { blocksOfLandmarks } from "./landmarks.ts";

/** Room for about 400,000 landmarks; beyond it, further blocks are not counted. */
const MAX_BYTES = 16 * 1024 * 1024;

/** Counts the distinct prompt blocks of the requests that run on each target: shared prefixes count once. */
export interface ActiveBlocks {
  /** Adds a request's landmarks; returns how many blocks became active by it. */
  add(target: number, landmarks: BigUint64Array): number;
  /** Takes them away again; returns how many blocks ceased to be active. */
  remove(target: number, landmarks: BigUint64Array): number;
  /** Blocks that would become active. */
  added(target: number, landmarks: BigUint64Array): number;
}

export function createActiveBlocks(): ActiveBlocks {
  // Reserved with the first request: most pools of a process may never see one.
  let nodes: ResidencyNodes | undefined;
  const weight = (i: number): number => blocksOfLandmarks(i + 1) - blocksOfLandmarks(i);
  return {
    add(target, landmarks) {
      nodes ??= new ResidencyNodes(new IndexMemory(MAX_BYTES));
      const words = wordsOf(landmarks);
      let blocks = 0;
      for (let i = 0; i < landmarks.length; i++) {
        const lo = words[2 * i]!;
        const hi = words[2 * i + 1]!;
        let id = nodes.find(target, lo, hi);
        if (id < 0) {
          id = nodes.add(target, lo, hi, lo, hi, 0);
          if (id < 0) break;
          blocks += weight(i);
        }
        nodes.words[id + CHILDREN_TIERS]!++;
      }
      return blocks;
    },
    remove(target, landmarks) {
      if (nodes === undefined) return 0;
      const words = wordsOf(landmarks);
      let blocks = 0;
      for (let i = 0; i < landmarks.length; i++) {
        const id = nodes.find(target, words[2 * i]!, words[2 * i + 1]!);
        if (id < 0) continue;
        if (--nodes.words[id + CHILDREN_TIERS]! > 0) continue;
        nodes.free(id);
        blocks += weight(i);
      }
      return blocks;
    },
    added(target, landmarks) {
      if (nodes === undefined) return blocksOfLandmarks(landmarks.length);
      const words = wordsOf(landmarks);
      // Active chains are closed under prefixes: bisect for the first block that is not active.
      let low = 0;
      let high = landmarks.length;
      while (low < high) {
        const middle = (low + high) >>> 1;
        if (nodes.find(target, words[2 * middle]!, words[2 * middle + 1]!) >= 0) low = middle + 1;
        else high = middle;
      }
      return blocksOfLandmarks(landmarks.length) - blocksOfLandmarks(low);
    },
  };
}
