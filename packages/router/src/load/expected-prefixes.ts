import { TypedIndex } from "../index/typed/typed-index.ts";
import { blocksOfLandmarks } from "./landmarks.ts";

/**
 * What targets should hold by our own decisions: it bridges the time from a decision to its events, and stands in for
 * events where a worker sends none. Two generations of a small index; an entry lives between one and two half-lives.
 */
export interface ExpectedPrefixes {
  addTarget(target: number): void;
  removeTarget(target: number): void;
  expect(target: number, landmarks: BigUint64Array, nowMs: number): void;
  /** Writes the expected depth in blocks of each target over `depths`, where it is larger. */
  raise(landmarks: BigUint64Array, nowMs: number, depths: Int32Array): void;
}

export function createExpectedPrefixes(ttlMs: number, maxBytes: number): ExpectedPrefixes {
  const known = new Set<number>();
  const create = (): TypedIndex => new TypedIndex({ maxBytes });
  let current = create();
  let previous: TypedIndex | undefined;
  let spare: TypedIndex | undefined;
  let startedMs = 0;
  // Public target numbers are dense and small: each generation has as many targets as the highest one seen.
  let numbers = 0;

  /** An empty generation: the one before last, wiped, since reserving memory anew costs more. */
  function emptied(): TypedIndex {
    const index = spare ?? create();
    spare = undefined;
    index.reset();
    return index;
  }

  function turn(nowMs: number): void {
    if (nowMs - startedMs < ttlMs / 2) return;
    const isOld = nowMs - startedMs >= ttlMs;
    startedMs = nowMs;
    spare = previous ?? spare;
    previous = undefined;
    if (current.stats().residencies === 0) return;
    if (isOld) {
      current.reset();
      return;
    }
    previous = current;
    current = emptied();
    while (current.targets < numbers) current.addTarget();
  }

  return {
    addTarget(target) {
      known.add(target);
      while (numbers <= target) {
        numbers++;
        current.addTarget();
        if (previous !== undefined && previous.targets < numbers) previous.addTarget();
      }
    },
    removeTarget(target) {
      known.delete(target);
      current.clear(target);
      previous?.clear(target);
    },
    expect(target, landmarks, nowMs) {
      if (ttlMs === 0) return;
      turn(nowMs);
      current.store(target, { names: landmarks });
    },
    raise(landmarks, nowMs, depths) {
      if (ttlMs === 0) return;
      turn(nowMs);
      for (const index of previous === undefined ? [current] : [current, previous]) {
        if (index.stats().residencies === 0) continue;
        const match = index.lookup(landmarks);
        for (const target of known) {
          const depth = blocksOfLandmarks(match.depths[target]!);
          if (depth > depths[target]!) depths[target] = depth;
        }
      }
    },
  };
}
