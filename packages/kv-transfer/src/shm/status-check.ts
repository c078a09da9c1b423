import { transferError } from "../transfer-error.ts";
import type { EpochCheck, RemoteMemory } from "../transport/transport.ts";

/** Reads words of a peer region's status from wherever they lie. `target[0]` gets word `first`. */
export type ReadStatus = (first: number, target: BigUint64Array) => void;

/** Throws unless the region lives: word 0 is 1. */
export function checkAlive(memory: RemoteMemory, read: ReadStatus): void {
  const word = new BigUint64Array(1);
  read(0, word);
  if (word[0] !== 1n)
    throw transferError("TRANSFER_REGION_GONE", `Region ${memory.id} was deregistered by its owner.`, {
      region: memory.id,
    });
}

export function epochBlocks(memory: RemoteMemory): number {
  return memory.blockBytes === 0 ? 0 : Math.ceil(memory.bytes / memory.blockBytes);
}

/** Throws TRANSFER_STALE_EPOCH unless all blocks have the epochs that the reader expects. */
export function checkRemoteEpochs(memory: RemoteMemory, check: EpochCheck, read: ReadStatus): void {
  const blocks = epochBlocks(memory);
  if (check.blocks.length === 0) return;
  let low = Number.POSITIVE_INFINITY;
  let high = -1;
  for (const block of check.blocks) {
    if (block >= blocks)
      throw transferError("TRANSFER_STALE_EPOCH", `Region ${memory.id} has no epoch for block ${block}.`, {
        region: memory.id,
        block,
      });
    if (block < low) low = block;
    if (block > high) high = block;
  }
  const words = new BigUint64Array(high - low + 1);
  read(1 + low, words);
  for (let i = 0; i < check.blocks.length; i += 1) {
    const block = check.blocks[i] as number;
    if (words[block - low] !== check.expected[i])
      throw transferError(
        "TRANSFER_STALE_EPOCH",
        `Block ${block} of region ${memory.id} was reused since its epoch was published: fetch new metadata.`,
        { region: memory.id, block },
      );
  }
}
