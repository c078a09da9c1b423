import type { KvEventBatch } from "@stator/core";

/** The latest KV event batches of an engine, for callers that missed some. */
export interface EventRing {
  readonly lastSequence: bigint;
  add(batch: KvEventBatch): void;
  /** All batches after `sequence`, or undefined when some of them are gone. */
  after(sequence: bigint): readonly KvEventBatch[] | undefined;
}

/** @param maxBlocks block names held at most; 65,536 are 0.5 MiB. */
export function createEventRing(maxBlocks = 65_536): EventRing {
  let batches: KvEventBatch[] = [];
  let blocks = 0;
  let last = 0n;
  return {
    get lastSequence() {
      return last;
    },
    add(batch) {
      last = batch.sequence;
      batches.push(batch);
      blocks += sizeOf(batch);
      if (blocks <= maxBlocks) return;
      // Down to half: cutting one at a time would move the whole array for each batch.
      let drop = 0;
      while (blocks > maxBlocks / 2 && drop < batches.length) blocks -= sizeOf(batches[drop++]!);
      batches = batches.slice(drop);
    },
    after(sequence) {
      if (sequence >= last) return [];
      const first = batches[0];
      if (first === undefined || first.sequence > sequence + 1n) return undefined;
      return batches.filter((batch) => batch.sequence > sequence);
    },
  };
}

function sizeOf(batch: KvEventBatch): number {
  let blocks = 1;
  for (const event of batch.events) blocks += event.type === "cleared" ? 1 : event.sequenceHashes.length;
  return blocks;
}
