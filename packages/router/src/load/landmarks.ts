const DENSE = 64;
const STRIDE = 8;

/**
 * Names at fixed positions of a chain: all of the first 64 blocks, every eighth after. Rolling names stand for all that
 * precedes them, so depth over landmarks is depth over blocks, rounded down; bookkeeping of long prompts costs an eighth.
 */
export function landmarksOf(names: BigUint64Array): BigUint64Array {
  if (names.length <= DENSE) return names;
  const count = landmarkCount(names.length);
  const landmarks = new BigUint64Array(count);
  landmarks.set(names.subarray(0, DENSE));
  for (let i = DENSE; i < count; i++) landmarks[i] = names[DENSE + (i - DENSE + 1) * STRIDE - 1]!;
  return landmarks;
}

/** How many landmarks a chain of `blocks` blocks has. */
export function landmarkCount(blocks: number): number {
  return blocks <= DENSE ? blocks : DENSE + Math.floor((blocks - DENSE) / STRIDE);
}

/** The block depth that `landmarks` matching landmarks prove. */
export function blocksOfLandmarks(landmarks: number): number {
  return landmarks <= DENSE ? landmarks : DENSE + (landmarks - DENSE) * STRIDE;
}
