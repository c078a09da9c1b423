/** Drawn at once: a call of the system's generator costs as much as parsing a small request. */
const drawn = new BigUint64Array(128);
let next = drawn.length;

/** A sampling seed, of 64 random bits. */
export function randomSeed(): bigint {
  if (next === drawn.length) {
    crypto.getRandomValues(drawn);
    next = 0;
  }
  return drawn[next++] as bigint;
}
