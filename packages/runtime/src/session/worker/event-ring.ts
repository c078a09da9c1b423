import type { KvEventBatch } from "@stator/core";
import { createSlab, packBatch, packedWords, unpackBatch, type Slab } from "./packed-batch.ts";

/** The latest KV event batches of an engine, for callers that missed some. */
export interface EventRing {
  readonly lastSequence: bigint;
  add(batch: KvEventBatch): void;
  /** All batches after `sequence`, or undefined when some of them are gone. */
  after(sequence: bigint): readonly KvEventBatch[] | undefined;
}

/** Batches of one stretch of time. */
interface Stretch {
  readonly slab: Slab;
  readonly first: bigint;
  last: bigint;
  usedWords: number;
}

const slabWords = 8_192;

/**
 * Batches are packed: kept as objects, an event of one block takes half a kilobyte of typed arrays, most of it outside the
 * heap, and a worker's memory grew until the ring was full.
 *
 * @param own worker and epoch of all batches.
 * @param maxBytes at most, rounded up to slabs of 64 KiB.
 */
export function createEventRing(
  own: Pick<KvEventBatch, "worker" | "epoch">,
  maxBytes: number = 2 * 2 ** 20,
): EventRing {
  const stretches: Stretch[] = [];
  let words = 0;
  let last = 0n;

  const drop = (): Slab | undefined => {
    let dropped: Slab | undefined;
    while (stretches.length > 1 && 8 * words > maxBytes) {
      dropped = stretches.shift()!.slab;
      words -= dropped.words.length;
    }
    return dropped;
  };
  /** Where so many words of a batch go. */
  const room = (size: number, sequence: bigint): Stretch => {
    const newest = stretches.at(-1);
    if (newest !== undefined && newest.usedWords + size <= newest.slab.words.length) return newest;
    const spare = drop();
    const slab =
      spare !== undefined && spare.words.length >= size ? spare : createSlab(Math.max(slabWords, size));
    const stretch: Stretch = { slab, first: sequence, last: sequence, usedWords: 0 };
    stretches.push(stretch);
    words += slab.words.length;
    return stretch;
  };

  return {
    get lastSequence() {
      return last;
    },
    add(batch) {
      last = batch.sequence;
      const size = packedWords(batch);
      const stretch = room(size, batch.sequence);
      packBatch(stretch.slab, stretch.usedWords, batch);
      stretch.usedWords += size;
      stretch.last = batch.sequence;
    },
    after(sequence) {
      if (sequence >= last) return [];
      const oldest = stretches[0];
      if (oldest === undefined || oldest.first > sequence + 1n) return undefined;
      const found: KvEventBatch[] = [];
      for (const { slab, last: end, usedWords } of stretches) {
        if (end <= sequence) continue;
        for (let at = 0; at < usedWords;) {
          const { batch, next } = unpackBatch(slab, at, own);
          if (batch.sequence > sequence) found.push(batch);
          at = next;
        }
      }
      return found;
    },
  };
}
