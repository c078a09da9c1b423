import { createBatchBuilder } from "../agent/descriptors.ts";
import type { RunBatch } from "../transport/transport.ts";
import type { AddonBatch } from "./transfer-addon.ts";

/** Sizes of the contiguous parts that make up a region, and where they stand in the call's table. */
export interface SegmentedRegion {
  readonly firstIndex: number;
  readonly segmentBytes: readonly number[];
}

/**
 * Turns region ids into table indexes. Regions of one part only are renumbered; regions of several parts are cut where parts end,
 * since native code sees plain address ranges.
 */
export function toAddressBatch(
  batch: RunBatch,
  local: (id: number) => SegmentedRegion,
  remote: (id: number) => SegmentedRegion,
): AddonBatch {
  let isPlain = true;
  const localIds = new Map<number, SegmentedRegion>();
  const remoteIds = new Map<number, SegmentedRegion>();
  const find = (
    known: Map<number, SegmentedRegion>,
    id: number,
    get: (id: number) => SegmentedRegion,
  ): SegmentedRegion => {
    let region = known.get(id);
    if (region === undefined) known.set(id, (region = get(id)));
    return region;
  };
  for (let run = 0; run < batch.runs; run += 1) {
    const l = find(localIds, batch.localRegion[run] as number, local);
    const r = find(remoteIds, batch.remoteRegion[run] as number, remote);
    isPlain &&= l.segmentBytes.length === 1 && r.segmentBytes.length === 1;
  }
  if (isPlain) {
    const index = (ids: Uint32Array, known: Map<number, SegmentedRegion>): Uint32Array => {
      const only = known.size === 1 ? [...known.values()][0] : undefined;
      if (only !== undefined) return new Uint32Array(batch.runs).fill(only.firstIndex);
      return Uint32Array.from(ids.subarray(0, batch.runs), (id) => known.get(id)?.firstIndex ?? 0xffff_ffff);
    };
    return {
      ...batch,
      localRegion: index(batch.localRegion, localIds),
      remoteRegion: index(batch.remoteRegion, remoteIds),
    };
  }
  const builder = createBatchBuilder(batch.totalPieces + 16);
  for (let run = 0; run < batch.runs; run += 1) {
    const here = cursor(localIds.get(batch.localRegion[run] as number) as SegmentedRegion);
    const there = cursor(remoteIds.get(batch.remoteRegion[run] as number) as SegmentedRegion);
    const bytes = batch.pieceBytes[run] as number;
    for (let k = 0; k < (batch.pieces[run] as number); k += 1) {
      const l = (batch.localOffset[run] as number) + k * (batch.localStride[run] as number);
      const r = (batch.remoteOffset[run] as number) + k * (batch.remoteStride[run] as number);
      for (let done = 0; done < bytes;) {
        here.seek(l + done);
        there.seek(r + done);
        const take = Math.min(bytes - done, here.left, there.left);
        builder.add(here.index, here.offset, take, there.index, there.offset, take, take, 1);
        done += take;
      }
    }
  }
  return builder.finish();
}

interface SegmentCursor {
  index: number;
  offset: number;
  left: number;
  seek(at: number): void;
}

function cursor(region: SegmentedRegion): SegmentCursor {
  const starts = [0];
  for (const bytes of region.segmentBytes) starts.push((starts.at(-1) as number) + bytes);
  const self: SegmentCursor = {
    index: region.firstIndex,
    offset: 0,
    left: 0,
    seek(at) {
      let low = 0;
      let high = region.segmentBytes.length - 1;
      while (low < high) {
        const middle = (low + high + 1) >> 1;
        if ((starts[middle] as number) <= at) low = middle;
        else high = middle - 1;
      }
      self.index = region.firstIndex + low;
      self.offset = at - (starts[low] as number);
      self.left = (region.segmentBytes[low] as number) - self.offset;
    },
  };
  return self;
}
