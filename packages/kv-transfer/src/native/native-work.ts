import { transferError } from "../transfer-error.ts";
import { liveRegion } from "../transport/check-regions.ts";
import type { RegionMemory, RunBatch, TransportHost, Work } from "../transport/transport.ts";
import { type SegmentedRegion, toAddressBatch } from "./address-batch.ts";
import type { AddonBatch } from "./transfer-addon.ts";

/** The local side of native work: address ranges of this process. */
export interface LocalTable {
  readonly views: Uint8Array[];
  readonly regions: RegionMemory[];
  region(id: number): SegmentedRegion;
}

/** Collects the address ranges of the local regions that a batch touches. */
export function createLocalTable(host: TransportHost): LocalTable {
  const views: Uint8Array[] = [];
  const regions: RegionMemory[] = [];
  return {
    views,
    regions,
    region(id) {
      const memory = liveRegion(host, id);
      if (memory.segments === undefined)
        throw transferError("TRANSFER_PATH_UNAVAILABLE", `Region ${id} has no addresses in this process.`, {
          region: id,
        });
      regions.push(memory);
      const firstIndex = views.length;
      const segmentBytes: number[] = [];
      for (const segment of memory.segments) {
        if (segment.byteLength === 0)
          throw transferError("TRANSFER_REGION_GONE", `A buffer of region ${id} was detached.`, {
            region: id,
          });
        views.push(segment);
        segmentBytes.push(segment.byteLength);
      }
      return { firstIndex, segmentBytes };
    },
  };
}

/** True if every local region of the batch has addresses here. */
export function hasLocalAddresses(host: TransportHost, work: Work): boolean {
  let last = -1;
  for (let run = 0; run < work.batch.runs; run += 1) {
    const id = work.batch.localRegion[run] as number;
    if (id !== last && host.region(id)?.segments === undefined) return false;
    last = id;
  }
  return true;
}

export function addressBatch(
  batch: RunBatch,
  local: LocalTable,
  remote: (id: number) => SegmentedRegion,
): AddonBatch {
  return toAddressBatch(batch, (id) => local.region(id), remote);
}

/** Turns an addon's refusal into ours. */
export function nativeError(error: unknown, peer: string, transport: string): Error {
  const { code, message } = error as { code?: string; message?: string };
  const data = { peer, transport, ...(code === undefined ? {} : { errno: code }) };
  if (code === "BOUNDS")
    return transferError(
      "TRANSFER_OUT_OF_BOUNDS",
      `A piece is outside its memory: ${message ?? ""}.`,
      data,
      error,
    );
  if (code === "ESRCH")
    return transferError("TRANSFER_PEER_LOST", `Peer ${peer}: ${message ?? ""}.`, data, error);
  if (code === "EPERM")
    return transferError(
      "TRANSFER_TRANSPORT_FAILED",
      `Peer ${peer} can't be attached to (${message ?? ""}): same user, same container and a ptrace_scope of at most 1 are needed.`,
      data,
      error,
    );
  if (code === "EFAULT")
    return transferError(
      "TRANSFER_REGION_GONE",
      `Memory of peer ${peer} is no longer mapped there.`,
      data,
      error,
    );
  return error as Error;
}
