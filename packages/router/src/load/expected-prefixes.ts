import { PrefixIndex } from "../index/prefix-index.ts";
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
  let current = new PrefixIndex({ maxBytes });
  let previous: PrefixIndex | undefined;
  let startedMs = 0;
  // Public target numbers are dense and small: each generation has as many targets as the highest one seen.
  let numbers = 0;

  function turn(nowMs: number): void {
    if (nowMs - startedMs < ttlMs / 2) return;
    const isOld = nowMs - startedMs >= ttlMs;
    startedMs = nowMs;
    if (current.stats().residencies === 0) {
      previous = undefined;
      return;
    }
    previous = isOld ? undefined : current;
    current = new PrefixIndex({ maxBytes });
    for (let i = 0; i < numbers; i++) current.addTarget();
  }

  return {
    addTarget(target) {
      known.add(target);
      while (numbers <= target) {
        current.addTarget();
        previous?.addTarget();
        numbers++;
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
