import { createByteReader } from "../byte-codec.ts";
import { epochBlocks } from "../shm/status-check.ts";
import { transferError } from "../transfer-error.ts";
import type { RemoteAgent, RemoteMemory } from "../transport/transport.ts";

/** A peer's region as UCX addresses it: addresses and keys of its parts and of its status words. */
export interface UcxRegion {
  readonly memory: RemoteMemory;
  /** [address, bytes] of each part. */
  readonly pairs: readonly bigint[];
  readonly keys: readonly Uint8Array[];
  readonly segmentBytes: readonly number[];
  readonly statusAddress: bigint;
  readonly statusKey: Uint8Array;
}

export function readUcxRegion(peer: RemoteAgent, id: number): UcxRegion {
  const memory = peer.memory(id);
  const exported = memory?.exported.get("ucx");
  if (memory === undefined || exported === undefined)
    throw transferError("TRANSFER_REGION_GONE", `Peer ${peer.name} has published no region ${id}.`, {
      region: id,
    });
  const reader = createByteReader(exported, "UCX region");
  const count = reader.count(20);
  const pairs: bigint[] = [];
  const keys: Uint8Array[] = [];
  const segmentBytes: number[] = [];
  let total = 0;
  for (let i = 0; i < count; i += 1) {
    const address = reader.u64();
    const bytes = reader.offset();
    pairs.push(address, BigInt(bytes));
    keys.push(reader.bytes(4096));
    segmentBytes.push(bytes);
    total += bytes;
  }
  const statusAddress = reader.u64();
  const statusWords = reader.offset() / 8;
  const statusKey = reader.bytes(4096);
  if (total !== memory.bytes || statusWords < 1 + epochBlocks(memory))
    throw transferError(
      "TRANSFER_METADATA_INVALID",
      `The parts of region ${id} of ${peer.name} don't add up.`,
    );
  return { memory, pairs, keys, segmentBytes, statusAddress, statusKey };
}
