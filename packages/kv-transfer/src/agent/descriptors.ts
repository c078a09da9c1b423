import { transferError } from "../transfer-error.ts";
import type { MemoryKind, RunBatch } from "../transport/transport.ts";
import { checkBounds } from "./region.ts";

/** What a descriptor list points into: a `Region` of this agent or a `RemoteRegion` of a peer. */
export interface DescribedRegion {
  readonly id: number;
  readonly bytes: number;
  readonly memory: MemoryKind;
}

/** A range of a region. */
export interface Piece {
  readonly offset: number;
  readonly bytes: number;
}

/** Equal pieces at a fixed distance: `count` pieces of `bytes` bytes, `stride` bytes apart. */
export interface StridedPieces extends Piece {
  readonly stride: number;
  readonly count: number;
}

/** Bounds-checked pieces as packed runs. Made once, used for any number of transfers. */
export interface Descriptors {
  readonly pieces: number;
  readonly totalBytes: number;
  readonly memory: MemoryKind;
  /** The regions the list points into. */
  readonly regions: ReadonlySet<DescribedRegion>;
  readonly runs: number;
  readonly region: Uint32Array;
  readonly offset: Float64Array;
  readonly bytes: Float64Array;
  readonly stride: Float64Array;
  readonly count: Uint32Array;
  /** First piece index of each run, and the total at the end. */
  readonly first: Float64Array;
}

/** Pieces of one region, in order. Strided entries stay one run: they cost the same for 1 and for 100,000 pieces. */
export function describe(region: DescribedRegion, pieces: readonly (Piece | StridedPieces)[]): Descriptors {
  const runs = pieces.length;
  if (runs === 0)
    throw transferError("TRANSFER_OPTION_INVALID", "A descriptor list needs at least one piece.");
  const list = emptyList(runs, region.memory, new Set([region]));
  pieces.forEach((piece, i) => {
    const isStrided = "stride" in piece;
    const count = isStrided ? piece.count : 1;
    const stride = isStrided ? piece.stride : piece.bytes;
    checkBounds(region.id, region.bytes, piece.offset, piece.bytes, i);
    if (
      !Number.isSafeInteger(count) ||
      count < 1 ||
      count > 0xffff_ffff ||
      !Number.isSafeInteger(stride) ||
      stride < 0
    )
      throw transferError(
        "TRANSFER_OPTION_INVALID",
        `Descriptor ${i}: count must be 1 to 2^32-1 and stride at least 0.`,
        { index: i, count, stride },
      );
    checkBounds(region.id, region.bytes, piece.offset + stride * (count - 1), piece.bytes, i);
    list.region[i] = region.id;
    list.offset[i] = piece.offset;
    list.bytes[i] = piece.bytes;
    list.stride[i] = stride;
    list.count[i] = count;
  });
  return finish(list);
}

/** Pieces given as packed arrays, one region: the form for tens of thousands of scattered blocks. */
export function describePacked(
  region: DescribedRegion,
  offsets: Float64Array,
  bytes: Float64Array | number,
): Descriptors {
  const runs = offsets.length;
  if (runs === 0)
    throw transferError("TRANSFER_OPTION_INVALID", "A descriptor list needs at least one piece.");
  if (typeof bytes !== "number" && bytes.length !== runs)
    throw transferError("TRANSFER_LENGTH_MISMATCH", `${runs} offsets but ${bytes.length} lengths.`);
  const list = emptyList(runs, region.memory, new Set([region]));
  list.region.fill(region.id);
  list.count.fill(1);
  list.offset.set(offsets);
  if (typeof bytes === "number") list.bytes.fill(bytes);
  else list.bytes.set(bytes);
  list.stride.set(list.bytes);
  for (let i = 0; i < runs; i += 1)
    checkBounds(region.id, region.bytes, list.offset[i] as number, list.bytes[i] as number, i);
  return finish(list);
}

/** Lists end to end: several regions in one transfer. */
export function concatDescriptors(lists: readonly Descriptors[]): Descriptors {
  const first = lists[0];
  if (first === undefined)
    throw transferError("TRANSFER_OPTION_INVALID", "concatDescriptors needs at least one list.");
  const runs = lists.reduce((sum, list) => sum + list.runs, 0);
  const joined = emptyList(runs, first.memory, new Set(lists.flatMap((list) => [...list.regions])));
  let at = 0;
  for (const list of lists) {
    if (list.memory !== first.memory)
      throw transferError(
        "TRANSFER_OPTION_INVALID",
        `A list holds one kind of memory: ${first.memory} and ${list.memory} don't mix.`,
      );
    joined.region.set(list.region, at);
    joined.offset.set(list.offset, at);
    joined.bytes.set(list.bytes, at);
    joined.stride.set(list.stride, at);
    joined.count.set(list.count, at);
    at += list.runs;
  }
  return finish(joined);
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

function emptyList(
  runs: number,
  memory: MemoryKind,
  regions: ReadonlySet<DescribedRegion>,
): Mutable<Descriptors> {
  return {
    pieces: 0,
    totalBytes: 0,
    memory,
    regions,
    runs,
    region: new Uint32Array(runs),
    offset: new Float64Array(runs),
    bytes: new Float64Array(runs),
    stride: new Float64Array(runs),
    count: new Uint32Array(runs),
    first: new Float64Array(runs + 1),
  };
}

function finish(list: Mutable<Descriptors>): Descriptors {
  let pieces = 0;
  let total = 0;
  for (let i = 0; i < list.runs; i += 1) {
    list.first[i] = pieces;
    pieces += list.count[i] as number;
    total += (list.count[i] as number) * (list.bytes[i] as number);
  }
  list.first[list.runs] = pieces;
  list.pieces = pieces;
  list.totalBytes = total;
  return list;
}

interface BatchBuilder {
  add(
    localRegion: number,
    localOffset: number,
    localStride: number,
    remoteRegion: number,
    remoteOffset: number,
    remoteStride: number,
    bytes: number,
    count: number,
  ): void;
  finish(): RunBatch;
}

/** Collects paired runs; pieces that touch on both sides become one. */
export function createBatchBuilder(capacity: number): BatchBuilder {
  let size = Math.max(capacity, 4);
  const make = (n: number) => ({
    localRegion: new Uint32Array(n),
    localOffset: new Float64Array(n),
    localStride: new Float64Array(n),
    remoteRegion: new Uint32Array(n),
    remoteOffset: new Float64Array(n),
    remoteStride: new Float64Array(n),
    pieceBytes: new Float64Array(n),
    pieces: new Uint32Array(n),
  });
  let arrays = make(size);
  let runs = 0;
  let totalBytes = 0;
  let totalPieces = 0;
  return {
    add(localRegion, localOffset, localStride, remoteRegion, remoteOffset, remoteStride, bytes, count) {
      totalBytes += bytes * count;
      let pieceBytes = bytes;
      let pieces = count;
      if (pieces > 1 && localStride === bytes && remoteStride === bytes) {
        pieceBytes = bytes * count;
        pieces = 1;
      }
      const last = runs - 1;
      if (
        last >= 0 &&
        pieces === 1 &&
        arrays.pieces[last] === 1 &&
        arrays.localRegion[last] === localRegion &&
        arrays.remoteRegion[last] === remoteRegion
      ) {
        const length = arrays.pieceBytes[last] as number;
        if (
          (arrays.localOffset[last] as number) + length === localOffset &&
          (arrays.remoteOffset[last] as number) + length === remoteOffset
        ) {
          const joined = length + pieceBytes;
          arrays.pieceBytes[last] = joined;
          arrays.localStride[last] = joined;
          arrays.remoteStride[last] = joined;
          return;
        }
      }
      if (runs === size) {
        const old = arrays;
        size *= 2;
        arrays = make(size);
        for (const name of Object.keys(old) as (keyof typeof old)[]) arrays[name].set(old[name]);
      }
      arrays.localRegion[runs] = localRegion;
      arrays.localOffset[runs] = localOffset;
      arrays.localStride[runs] = pieces === 1 ? pieceBytes : localStride;
      arrays.remoteRegion[runs] = remoteRegion;
      arrays.remoteOffset[runs] = remoteOffset;
      arrays.remoteStride[runs] = pieces === 1 ? pieceBytes : remoteStride;
      arrays.pieceBytes[runs] = pieceBytes;
      arrays.pieces[runs] = pieces;
      totalPieces += pieces;
      runs += 1;
    },
    finish() {
      return { runs, ...arrays, totalBytes, totalPieces, prepared: undefined };
    },
  };
}

function mismatch(index: number, local: number, remote: number): Error {
  return transferError(
    "TRANSFER_LENGTH_MISMATCH",
    `Pair ${index}: ${local} bytes here, ${remote} bytes at the peer. Both sides of a pair must be equally long.`,
    { index, local, remote },
  );
}

function selectRun(list: Descriptors, piece: number): number {
  let low = 0;
  let high = list.runs - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if ((list.first[middle] as number) <= piece) low = middle;
    else high = middle - 1;
  }
  return low;
}

/** Pairs the pieces of two lists (or the chosen ones) into one merged batch. */
export function pairDescriptors(
  local: Descriptors,
  remote: Descriptors,
  localIndex?: Uint32Array,
  remoteIndex?: Uint32Array,
): RunBatch {
  const localCount = localIndex?.length ?? local.pieces;
  const remoteCount = remoteIndex?.length ?? remote.pieces;
  if (localCount !== remoteCount || localCount === 0)
    throw transferError(
      "TRANSFER_LENGTH_MISMATCH",
      `${localCount} pieces here, ${remoteCount} at the peer: a transfer needs equally many, at least one.`,
      { local: localCount, remote: remoteCount },
    );
  if (localIndex === undefined && remoteIndex === undefined) return pairRuns(local, remote);
  const builder = createBatchBuilder(Math.min(localCount, 65_536));
  for (let i = 0; i < localCount; i += 1) {
    const l = localIndex?.[i] ?? i;
    const r = remoteIndex?.[i] ?? i;
    if (l >= local.pieces || r >= remote.pieces)
      throw transferError(
        "TRANSFER_OUT_OF_BOUNDS",
        `Index ${i} picks piece ${l} of ${local.pieces} here and ${r} of ${remote.pieces} at the peer.`,
        { index: i },
      );
    const a = local.runs === local.pieces ? l : selectRun(local, l);
    const b = remote.runs === remote.pieces ? r : selectRun(remote, r);
    const bytes = local.bytes[a] as number;
    if (bytes !== remote.bytes[b]) throw mismatch(i, bytes, remote.bytes[b] as number);
    const localOffset =
      (local.offset[a] as number) + (l - (local.first[a] as number)) * (local.stride[a] as number);
    const remoteOffset =
      (remote.offset[b] as number) + (r - (remote.first[b] as number)) * (remote.stride[b] as number);
    builder.add(
      local.region[a] as number,
      localOffset,
      bytes,
      remote.region[b] as number,
      remoteOffset,
      bytes,
      bytes,
      1,
    );
  }
  return builder.finish();
}

function pairRuns(local: Descriptors, remote: Descriptors): RunBatch {
  const builder = createBatchBuilder(Math.max(local.runs, remote.runs));
  let a = 0;
  let b = 0;
  let usedA = 0;
  let usedB = 0;
  let index = 0;
  while (a < local.runs) {
    const bytes = local.bytes[a] as number;
    if (bytes !== remote.bytes[b]) throw mismatch(index, bytes, remote.bytes[b] as number);
    const leftA = (local.count[a] as number) - usedA;
    const leftB = (remote.count[b] as number) - usedB;
    const take = leftA < leftB ? leftA : leftB;
    const localStride = local.stride[a] as number;
    const remoteStride = remote.stride[b] as number;
    builder.add(
      local.region[a] as number,
      (local.offset[a] as number) + usedA * localStride,
      localStride,
      remote.region[b] as number,
      (remote.offset[b] as number) + usedB * remoteStride,
      remoteStride,
      bytes,
      take,
    );
    index += take;
    usedA += take;
    usedB += take;
    if (usedA === local.count[a]) {
      a += 1;
      usedA = 0;
    }
    if (usedB === remote.count[b]) {
      b += 1;
      usedB = 0;
    }
  }
  return builder.finish();
}
