/** What the pattern can be written to and read from: a region. */
export interface PatternTarget {
  readonly bytes: number;
  write(offset: number, source: Uint8Array): void | Promise<void>;
}

const pageBytes = 65_536;
/** What the low 16 bits of an offset make of its byte. */
const page = Uint8Array.from({ length: pageBytes }, (_, i) => (i ^ (i >>> 8)) & 0xff);
const pageWords = new Uint32Array(page.buffer);

/** Bytes of the test pattern: every offset and every `seed` look different. */
export function patternBytes(seed: number, offset: number, length: number): Uint8Array {
  // From where a page begins, so that whole words can be made; the caller sees its own part.
  const before = offset % 4;
  const words = new Uint32Array(Math.ceil((before + length) / 4));
  for (let word = 0; word < words.length;) {
    const at = offset - before + word * 4;
    const first = (at % pageBytes) / 4;
    const count = Math.min(words.length - word, pageWords.length - first);
    const mask = (((at >>> 16) ^ (seed * 37)) & 0xff) * 0x0101_0101;
    for (let i = 0; i < count; i += 1) words[word + i] = (pageWords[first + i] as number) ^ mask;
    word += count;
  }
  return new Uint8Array(words.buffer, before, length);
}

/** Filled when it returns, where the target writes within the call; else when it resolves. */
export async function fillPattern(target: PatternTarget, seed: number): Promise<void> {
  for (let at = 0; at < target.bytes; at += 1 << 20) {
    const written = target.write(at, patternBytes(seed, at, Math.min(1 << 20, target.bytes - at)));
    if (written !== undefined) await written;
  }
}
