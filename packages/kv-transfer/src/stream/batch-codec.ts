import { createByteReader, createByteWriter } from "../byte-codec.ts";
import { checkBounds } from "../agent/region.ts";
import { transferError } from "../transfer-error.ts";
import type { EpochCheck, RegionMemory, RemoteAgent, RunBatch } from "../transport/transport.ts";

const bytesOf = (array: Float64Array | Uint32Array | BigUint64Array, items: number): Uint8Array =>
  new Uint8Array(array.buffer, array.byteOffset, items * array.BYTES_PER_ELEMENT);

/** Packs what the target needs of a batch: its regions with their keys, its runs, the epochs to hold. */
export function encodeBatch(peer: RemoteAgent, batch: RunBatch, epochs: readonly EpochCheck[]): Uint8Array {
  const ids = new Set<number>(epochs.map((check) => check.region));
  for (let run = 0; run < batch.runs; run += 1) ids.add(batch.remoteRegion[run] as number);
  const writer = createByteWriter(64 + ids.size * 12 + batch.runs * 32);
  writer.u32(ids.size);
  for (const id of ids) {
    const memory = peer.memory(id);
    if (memory === undefined)
      throw transferError(
        "TRANSFER_REGION_GONE",
        `Peer ${peer.name} has published no region ${id} (any more).`,
        { peer: peer.name, region: id },
      );
    writer.u32(id).u64(memory.key);
  }
  writer.u32(batch.runs);
  writer.raw(bytesOf(batch.remoteRegion, batch.runs)).raw(bytesOf(batch.pieces, batch.runs));
  writer
    .raw(bytesOf(batch.remoteOffset, batch.runs))
    .raw(bytesOf(batch.remoteStride, batch.runs))
    .raw(bytesOf(batch.pieceBytes, batch.runs));
  writer.u32(epochs.length);
  for (const check of epochs) {
    writer.u32(check.region).u32(check.blocks.length);
    writer.raw(bytesOf(check.blocks, check.blocks.length)).raw(bytesOf(check.expected, check.blocks.length));
  }
  return writer.finish();
}

/** A peer's request, checked: every run is inside a live region whose key the peer knows. */
export interface AdmittedBatch {
  readonly batch: RunBatch;
  resolve(id: number): RegionMemory;
  /** Throws TRANSFER_STALE_EPOCH or TRANSFER_REGION_GONE if what was true at admission is no longer. */
  recheck(): void;
}

/** Unpacks and checks a request of a peer. Throws for anything that is not entirely inside what the peer may touch. */
export function admitBatch(
  head: Uint8Array,
  admit: (id: number, key: bigint) => RegionMemory,
): AdmittedBatch {
  const reader = createByteReader(head, "Transfer request");
  const keys = new Map<number, bigint>();
  for (let left = reader.count(12); left > 0; left -= 1) keys.set(reader.u32(), reader.u64());
  const resolve = (id: number): RegionMemory => {
    const key = keys.get(id);
    if (key === undefined)
      throw transferError("TRANSFER_REGION_GONE", `The request names region ${id} without its key.`, {
        region: id,
      });
    return admit(id, key);
  };
  const runs = reader.count(32);
  const u32 = (items: number): Uint32Array => new Uint32Array(Uint8Array.from(reader.raw(items * 4)).buffer);
  const f64 = (items: number): Float64Array =>
    new Float64Array(Uint8Array.from(reader.raw(items * 8)).buffer);
  const remoteRegion = u32(runs);
  const pieces = u32(runs);
  const remoteOffset = f64(runs);
  const remoteStride = f64(runs);
  const pieceBytes = f64(runs);
  let totalBytes = 0;
  let totalPieces = 0;
  for (let run = 0; run < runs; run += 1) {
    const region = resolve(remoteRegion[run] as number);
    const count = pieces[run] as number;
    const stride = remoteStride[run] as number;
    const offset = remoteOffset[run] as number;
    const bytes = pieceBytes[run] as number;
    if (count < 1 || !Number.isSafeInteger(stride) || stride < 0)
      throw transferError(
        "TRANSFER_OUT_OF_BOUNDS",
        `Descriptor ${run} of the peer's request has no pieces or a bad stride.`,
        { index: run },
      );
    checkBounds(region.id, region.bytes, offset, bytes, run);
    checkBounds(region.id, region.bytes, offset + stride * (count - 1), bytes, run);
    totalBytes += bytes * count;
    totalPieces += count;
  }
  const checks: EpochCheck[] = [];
  for (let left = reader.count(8); left > 0; left -= 1) {
    const region = reader.u32();
    const count = reader.count(12);
    checks.push({
      region,
      blocks: u32(count),
      expected: new BigUint64Array(Uint8Array.from(reader.raw(count * 8)).buffer),
    });
  }
  reader.end();
  const admitted: AdmittedBatch = {
    batch: {
      runs,
      localRegion: remoteRegion,
      localOffset: remoteOffset,
      localStride: remoteStride,
      remoteRegion,
      remoteOffset,
      remoteStride,
      pieceBytes,
      pieces,
      totalBytes,
      totalPieces,
    },
    resolve,
    recheck() {
      for (const id of keys.keys()) resolve(id);
      for (const check of checks) checkEpochs(resolve(check.region), check);
    },
  };
  admitted.recheck();
  return admitted;
}

/** Throws TRANSFER_STALE_EPOCH unless each block has the epoch that the reader expects. */
export function checkEpochs(region: RegionMemory, check: EpochCheck): void {
  const table = region.epochs;
  if (table === undefined)
    throw transferError("TRANSFER_STALE_EPOCH", `Region ${region.id} has no epoch table to check against.`, {
      region: region.id,
    });
  for (let i = 0; i < check.blocks.length; i += 1) {
    const block = check.blocks[i] as number;
    if (block >= table.blocks)
      throw transferError("TRANSFER_OUT_OF_BOUNDS", `Epoch of block ${block} of ${table.blocks}.`, {
        region: region.id,
        block,
      });
    if (table.get(block) !== check.expected[i])
      throw transferError(
        "TRANSFER_STALE_EPOCH",
        `Block ${block} of region ${region.id} was reused since its epoch was published: fetch new metadata.`,
        { region: region.id, block },
      );
  }
}
