/** Uniform numbers in [0, 1) from a seed (mulberry32): the same seed gives the same workload everywhere. */
export function seededRandom(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

/** A number of mean 1 with exponential distribution. */
export function exponential(random: () => number): number {
  return -Math.log(1 - random());
}

/** A log-normal number with this median and this 90th percentile. */
export function logNormal(random: () => number, median: number, p90: number): number {
  const sigma = Math.log(p90 / median) / 1.2815515655446004;
  const normal = Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
  return median * Math.exp(sigma * normal);
}
