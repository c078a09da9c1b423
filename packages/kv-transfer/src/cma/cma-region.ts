import { createByteReader } from "../byte-codec.ts";
import type { PlannedRegion } from "../native/planned-link.ts";
import type { TransferAddon } from "../native/transfer-addon.ts";
import { transferError } from "../transfer-error.ts";
import type { RemoteAgent } from "../transport/transport.ts";

/** A peer's region by its addresses in the peer's process. */
export interface CmaRegion extends PlannedRegion {
  /** [address, bytes] of each part. */
  readonly pairs: BigUint64Array;
  readonly lifeAddress: bigint;
}

/** Reads what a peer said about a region's addresses. */
export function readCmaRegion(
  addon: TransferAddon,
  peer: RemoteAgent,
  pid: number,
  pidfd: number,
  id: number,
): CmaRegion {
  const memory = peer.memory(id);
  const exported = memory?.exported.get("cma");
  if (memory === undefined || exported === undefined)
    throw transferError("TRANSFER_REGION_GONE", `Peer ${peer.name} has published no region ${id}.`, {
      region: id,
    });
  const reader = createByteReader(exported, "Region addresses");
  const lifeAddress = reader.u64();
  const count = reader.count(16);
  const pairs = new BigUint64Array(count * 2);
  const segmentBytes: number[] = [];
  for (let i = 0; i < count; i += 1) {
    pairs[2 * i] = reader.u64();
    const bytes = reader.offset();
    pairs[2 * i + 1] = BigInt(bytes);
    segmentBytes.push(bytes);
  }
  if (segmentBytes.reduce((sum, bytes) => sum + bytes, 0) !== memory.bytes)
    throw transferError(
      "TRANSFER_METADATA_INVALID",
      `The parts of region ${id} of ${peer.name} don't add up.`,
    );
  return {
    memory,
    pairs,
    segmentBytes,
    lifeAddress,
    readStatus: (first, target) => addon.cmaWords(pid, pidfd, lifeAddress + 8n * BigInt(first), target),
  };
}

/** The tables of several regions, one after the other. */
export function joinPairs(regions: readonly CmaRegion[]): BigUint64Array {
  const only = regions.length === 1 ? regions[0] : undefined;
  if (only !== undefined) return only.pairs;
  const joined = new BigUint64Array(regions.reduce((sum, region) => sum + region.pairs.length, 0));
  let at = 0;
  for (const { pairs } of regions) {
    joined.set(pairs, at);
    at += pairs.length;
  }
  return joined;
}
