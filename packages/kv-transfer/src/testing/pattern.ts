/** What the pattern can be written to and read from: a region. */
export interface PatternTarget {
  readonly bytes: number;
  write(offset: number, source: Uint8Array): void | Promise<void>;
}

/** Bytes of the test pattern: every offset and every `seed` look different. */
export function patternBytes(seed: number, offset: number, length: number): Uint8Array {
  const out = new Uint8Array(length);
  for (let i = 0; i < length; i += 1) {
    const at = offset + i;
    out[i] = (at ^ (at >>> 8) ^ (at >>> 16) ^ (seed * 37)) & 0xff;
  }
  return out;
}

/** Filled when it returns, where the target writes within the call; else when it resolves. */
export async function fillPattern(target: PatternTarget, seed: number): Promise<void> {
  for (let at = 0; at < target.bytes; at += 1 << 20) {
    const written = target.write(at, patternBytes(seed, at, Math.min(1 << 20, target.bytes - at)));
    if (written !== undefined) await written;
  }
}
