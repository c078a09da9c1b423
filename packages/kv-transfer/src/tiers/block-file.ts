import { createHash } from "node:crypto";
import { crc32 } from "node:zlib";
import { createByteReader, createByteWriter } from "../byte-codec.ts";
import { transferError } from "../transfer-error.ts";

const magic = 0x4b54_5353;
const formatVersion = 2;
/** Magic, version, scope, key, name, whether there is a parent, parent, payload bytes, payload CRC-32, header CRC-32. */
export const blockHeaderBytes: number = 4 + 4 + 8 + 32 + 8 + 1 + 8 + 8 + 4 + 4;

/** What the head of a block's file says. */
export interface BlockHeader {
  /** `scopeNumber` of the store that wrote it. */
  readonly scope: bigint;
  readonly key: Uint8Array;
  readonly name: bigint;
  readonly parent?: bigint | undefined;
  /** Bytes of payload after the header. */
  readonly bytes: number;
  /** CRC-32 of the payload. */
  readonly checksum: number;
}

/** A scope's text as 64 bits. */
export function scopeNumber(scope: string): bigint {
  return createHash("sha256").update(scope).digest().readBigUInt64LE();
}

export function writeBlockHeader(
  block: Omit<BlockHeader, "bytes" | "checksum">,
  payload: Uint8Array,
): Uint8Array {
  const body = createByteWriter(blockHeaderBytes)
    .u32(magic)
    .u32(formatVersion)
    .u64(block.scope)
    .raw(block.key)
    .u64(block.name)
    .u8(block.parent === undefined ? 0 : 1)
    .u64(block.parent ?? 0n)
    .offset(payload.length)
    .u32(crc32(payload))
    .finish();
  return createByteWriter(blockHeaderBytes).raw(body).u32(crc32(body)).finish();
}

/** @throws TransferError TRANSFER_CHECKSUM if it is no whole header of this format, or of another key than `expectedKey`. */
export function readBlockHeader(file: Uint8Array, expectedKey?: Uint8Array): BlockHeader {
  const reader = createByteReader(file.subarray(0, blockHeaderBytes), "Block file");
  const isOurs = reader.u32() === magic && reader.u32() === formatVersion;
  const scope = reader.u64();
  const key = Uint8Array.from(reader.raw(32));
  const name = reader.u64();
  const hasParent = reader.u8() === 1;
  const parent = reader.u64();
  const bytes = reader.offset();
  const checksum = reader.u32();
  const isWhole = isOurs && reader.u32() === crc32(file.subarray(0, blockHeaderBytes - 4));
  if (!isWhole || (expectedKey !== undefined && Buffer.compare(key, expectedKey) !== 0))
    throw transferError("TRANSFER_CHECKSUM", "A block file is damaged or belongs to another key.");
  return { scope, key, name, ...(hasParent ? { parent } : {}), bytes, checksum };
}
