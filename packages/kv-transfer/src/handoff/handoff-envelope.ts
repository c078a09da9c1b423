import { crc32 } from "node:zlib";
import { createByteReader, createByteWriter } from "../byte-codec.ts";
import { transferError } from "../transfer-error.ts";

const magic = 0x4f48_5453;
const envelopeVersion = 1;
const keyBytes = 32;
/** Bytes of one block in the envelope: key, offset, length, checksum. */
const entryBytes = keyBytes + 8 + 4 + 4;

/** One block as the sink learns of it before any byte moves. */
export interface EnvelopeBlock {
  /** SHA-256 reuse key. */
  readonly key: Uint8Array;
  readonly offset: number;
  readonly bytes: number;
  readonly checksum: number;
}

/** What a handoff's opaque bytes hold. */
export interface HandoffEnvelope {
  readonly leaseId: string;
  readonly leaseMs: number;
  /** Agent metadata of the source, with the one region that holds the blocks; empty when there are no blocks. */
  readonly metadata: Uint8Array;
  readonly region: number;
  readonly epoch: bigint;
  readonly blocks: readonly EnvelopeBlock[];
}

/** CRC-32 (ISO-HDLC, zlib's) of a block's bytes. */
export function blockChecksum(bytes: Uint8Array): number {
  return crc32(bytes);
}

export function encodeEnvelope(envelope: HandoffEnvelope): Uint8Array {
  const writer = createByteWriter(256 + envelope.metadata.length + envelope.blocks.length * entryBytes);
  writer
    .u32(magic)
    .u8(envelopeVersion)
    .text(envelope.leaseId)
    .u32(envelope.leaseMs)
    .bytes(envelope.metadata)
    .u32(envelope.region)
    .u64(envelope.epoch);
  writer.u32(envelope.blocks.length);
  for (const block of envelope.blocks)
    writer.raw(block.key).offset(block.offset).u32(block.bytes).u32(block.checksum);
  const body = writer.finish();
  return Uint8Array.from(
    createByteWriter(body.length + 4)
      .raw(body)
      .u32(crc32(body))
      .finish(),
  );
}

/** Throws TRANSFER_METADATA_INVALID for damage, TRANSFER_INCOMPATIBLE for another version. */
export function decodeEnvelope(opaque: Uint8Array): HandoffEnvelope {
  const whole = createByteReader(opaque, "Handoff");
  if (whole.u32() !== magic)
    throw transferError("TRANSFER_METADATA_INVALID", "These bytes are not a handoff of this package.");
  const version = whole.u8();
  if (version !== envelopeVersion)
    throw transferError(
      "TRANSFER_INCOMPATIBLE",
      `A handoff of version ${version}; this build reads ${envelopeVersion}.`,
      { version },
    );
  const body = opaque.subarray(0, opaque.length - 4);
  if (createByteReader(opaque.subarray(opaque.length - 4), "Handoff").u32() !== crc32(body))
    throw transferError("TRANSFER_METADATA_INVALID", "The handoff's bytes were damaged on the way.");
  const reader = createByteReader(body, "Handoff");
  reader.raw(5);
  const leaseId = reader.text(64);
  const leaseMs = reader.u32();
  const metadata = reader.bytes(opaque.length);
  const region = reader.u32();
  const epoch = reader.u64();
  const blocks: EnvelopeBlock[] = [];
  for (let left = reader.count(entryBytes); left > 0; left -= 1)
    blocks.push({
      key: reader.raw(keyBytes),
      offset: reader.offset(),
      bytes: reader.u32(),
      checksum: reader.u32(),
    });
  reader.end();
  return { leaseId, leaseMs, metadata, region, epoch, blocks };
}
