import type { KvEvent, KvEventBatch } from "@stator/core";

/** Blocks of one part: with engine keys 64 KiB, well below what brokers take by default, and encoded within a millisecond. */
const PART_BLOCKS = 4096;

/** One message of a batch that is too long for one. */
export interface BatchPart {
  readonly batch: KvEventBatch;
  /** Which it is, from 0, and whether more follow. */
  readonly part: number;
  readonly isPartial: boolean;
}

/** Cuts a batch: between events, and long chains in two of which the second follows the first. */
export function* partsOfBatch(batch: KvEventBatch): Generator<BatchPart, void, void> {
  let events: KvEvent[] = [];
  let part = 0;
  let room = PART_BLOCKS;
  for (const event of batch.events) {
    for (const piece of piecesOf(event)) {
      const blocks = piece.type === "cleared" ? 1 : piece.sequenceHashes.length;
      if (blocks > room && events.length > 0) {
        yield { batch: { ...batch, events }, part: part++, isPartial: true };
        events = [];
        room = PART_BLOCKS;
      }
      events.push(piece);
      room -= blocks;
    }
  }
  yield { batch: { ...batch, events }, part, isPartial: false };
}

function piecesOf(event: KvEvent): KvEvent[] {
  if (event.type === "cleared" || event.sequenceHashes.length <= PART_BLOCKS) return [event];
  const pieces: KvEvent[] = [];
  const { sequenceHashes, engineKeys } = event;
  for (let from = 0; from < sequenceHashes.length; from += PART_BLOCKS) {
    const range = {
      sequenceHashes: sequenceHashes.subarray(from, from + PART_BLOCKS),
      ...(engineKeys === undefined ? {} : { engineKeys: engineKeys.subarray(from, from + PART_BLOCKS) }),
    };
    if (event.type === "removed" || from === 0) pieces.push({ ...event, ...range });
    else
      pieces.push({
        ...event,
        ...range,
        parent: sequenceHashes[from - 1]!,
        ...(engineKeys === undefined ? {} : { engineParent: engineKeys[from - 1]! }),
      });
  }
  return pieces;
}

/** Puts the parts of one sender's batches together again; a batch with a hole is none. */
export interface BatchJoiner {
  /** The whole batch with its last part. */
  add(part: BatchPart): KvEventBatch | undefined;
}

export function createBatchJoiner(): BatchJoiner {
  const open = new Map<string, { readonly events: KvEvent[]; parts: number }>();
  return {
    add({ batch, part, isPartial }) {
      if (part === 0 && !isPartial) return batch;
      // Between the parts of a snapshot others of the same worker may come.
      const key = `${batch.isSnapshot === true ? "=" : "+"}${batch.sequence} ${batch.worker}`;
      if (part === 0) {
        open.delete(key);
        open.set(key, { events: [], parts: 0 });
        if (open.size > MOST_OPEN) open.delete(open.keys().next().value!);
      }
      const entry = open.get(key);
      if (entry === undefined) return undefined;
      if (entry.parts !== part) {
        open.delete(key);
        return undefined;
      }
      entry.parts++;
      for (const event of batch.events) entry.events.push(event);
      if (isPartial) return undefined;
      open.delete(key);
      return { ...batch, events: entry.events };
    },
  };
}

/** Batches whose last part is still to come; beyond that the oldest is given up. */
const MOST_OPEN = 64;
