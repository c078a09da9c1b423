import type { Logits } from "../../sampling/sampler.ts";
import { endOfTurnId } from "./tokenizer-file.ts";

/** A running digest of everything in a KV cache: two 32-bit lanes. */
export interface Digest {
  low: number;
  high: number;
}

/** The KV that one token adds, as a function of all KV before it (as in a transformer), its id and its position. */
export function tokenKv(
  before: Digest,
  id: number,
  position: number,
  weightsSeed: number,
  out: Digest,
): void {
  let a = Math.imul(before.low ^ id ^ weightsSeed, 0x9e3779b1);
  let b = Math.imul(before.high ^ position, 0x85ebca77) ^ a;
  a ^= a >>> 15;
  a = Math.imul(a ^ b, 0xc2b2ae3d);
  b ^= b >>> 13;
  b = Math.imul(b + id, 0x27d4eb2f);
  out.low = (a ^ (a >>> 16)) | 0;
  out.high = (b ^ (b >>> 15) ^ a) | 0;
}

const candidates = 8;
const letters = "etaoinshrdlucmfwypvbgkjqxz ETAOINSHRDL.,'!?;:-0123456789\n\"()&  *";
const printable = Uint8Array.from(letters.slice(0, 64), (letter) => letter.charCodeAt(0));
const spaceId = 0x20;
/** The first bytes of U+1F600 to U+1F60F: four ids make one character, so that streams split inside characters. */
const emoji = [0xf0, 0x9f, 0x98] as const;

export interface TokenFunctionOptions {
  readonly weightsSeed: number;
  /** Probability of the end id at each output, 0 to 1. */
  readonly endProbability: number;
}

export interface TokenFunction {
  /** Logits of the next token, from what the KV holds and the last token. Valid until the next call. */
  logits(digest: Digest, lastId: number, extraIds: Iterable<number> | undefined): Logits;
}

/** The `nth` 32-bit number of a seed (mulberry32). */
function draw(seed: number, nth: number): number {
  const state = (seed + Math.imul(nth, 0x6d2b79f5)) | 0;
  let t = Math.imul(state ^ (state >>> 15), state | 1);
  t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
  return (t ^ (t >>> 14)) >>> 0;
}

/**
 * The "model": a fixed function from KV content to logits over a few candidates. Texts look like scrambled English
 * with an emoji now and then and are always valid UTF-8 unless the sampling parameters force ids.
 */
export function createTokenFunction({ weightsSeed, endProbability }: TokenFunctionOptions): TokenFunction {
  let ids = new Uint32Array(64);
  let values = new Float64Array(64);
  const endBelow = endProbability * 0x1_0000_0000;

  return {
    logits(digest, lastId, extraIds) {
      const seed = (digest.low ^ Math.imul(digest.high, 0x9e3779b1) ^ weightsSeed) | 0;
      const first = draw(seed, 1);
      const ends = draw(seed, 2) < endBelow;
      let count = 0;
      const step = emoji.indexOf(lastId as 0xf0);
      if (step >= 0) {
        ids[count] = emoji[step + 1] ?? 0x80 + (first & 0x0f);
        values[count++] = 4;
      } else {
        const stride = ((first >>> 6) & 0x1f) * 2 + 1;
        let noise = draw(seed, 3);
        for (let i = 0; i < candidates; i++) {
          if (i === 4) noise = draw(seed, 4);
          const id = printable[(first + i * stride) & 63]!;
          ids[count] = id;
          values[count++] = ((noise >>> (8 * (i & 3))) & 0xff) / 48 + (id === spaceId ? 1 : 0);
        }
        if (first >>> 25 === 0) {
          ids[count] = emoji[0];
          values[count++] = 7;
        }
      }
      ids[count] = endOfTurnId;
      values[count++] = ends ? 16 : -16;
      if (extraIds !== undefined) {
        for (const id of extraIds) {
          if (ids.subarray(0, count).includes(id)) continue;
          if (count === ids.length) {
            ids = grown(ids, new Uint32Array(count * 2));
            values = grown(values, new Float64Array(count * 2));
          }
          ids[count] = id;
          values[count++] = -16;
        }
      }
      return { ids, values, count };
    },
  };
}

function grown<T extends Uint32Array | Float64Array>(from: T, to: T): T {
  to.set(from);
  return to;
}
