import type { KvEvent, KvEventBatch } from "@stator/core";

/** Blocks of one part: with engine keys 128 KiB, well below what brokers take by default. */
const PART_BLOCKS = 8192;

/** One message of a batch that is too long for one. */
export interface BatchPart {
  readonly batch: KvEventBatch;
  /** Which it is, from 0, and whether more follow. */
  readonly part: number;
  readonly isPartial: boolean;
}

/** Cuts a batch: between events, and long chains in two of which the second follows the first. */
export function partsOfBatch(batch: KvEventBatch): BatchPart[] {
  const parts: KvEvent[][] = [[]];
  let room = PART_BLOCKS;
  for (const event of batch.events) {
    for (const piece of piecesOf(event)) {
      const blocks = piece.type === "cleared" ? 1 : piece.sequenceHashes.length;
      if (blocks > room && parts.at(-1)!.length > 0) {
        parts.push([]);
        room = PART_BLOCKS;
      }
      parts.at(-1)!.push(piece);
      room -= blocks;
    }
  }
  return parts.map((events, part) => ({
    batch: { ...batch, events },
    part,
    isPartial: part + 1 < parts.length,
  }));
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
  const open = new Map<string, { readonly events: KvEvent[]; readonly sequence: bigint; parts: number }>();
  return {
    add({ batch, part, isPartial }) {
      if (part === 0 && !isPartial) return batch;
      if (part === 0) open.set(batch.worker, { events: [], sequence: batch.sequence, parts: 0 });
      const entry = open.get(batch.worker);
      if (entry?.parts !== part || entry.sequence !== batch.sequence) {
        open.delete(batch.worker);
        return undefined;
      }
      entry.parts++;
      for (const event of batch.events) entry.events.push(event);
      if (isPartial) return undefined;
      open.delete(batch.worker);
      return { ...batch, events: entry.events };
    },
  };
}
