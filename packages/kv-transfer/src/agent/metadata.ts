import { createHmac, timingSafeEqual } from "node:crypto";
import { createByteReader, createByteWriter } from "../byte-codec.ts";
import { transferError } from "../transfer-error.ts";
import type { MemoryKind, RemoteMemory } from "../transport/transport.ts";

const magic = 0x4d54_5353;
/** Version of the metadata blob; another one is refused. */
const metadataVersion = 1;
const memoryKinds: readonly MemoryKind[] = ["host", "device", "file", "object"];
const nameLimit = 1024;
const infoLimit = 65_536;
const hmacBytes = 32;

/** What a metadata blob says. */
export interface AgentMetadata {
  readonly name: string;
  readonly incarnation: string;
  readonly connections: ReadonlyMap<string, Uint8Array>;
  readonly regions: readonly RemoteMemory[];
}

/** Packs metadata: length-checked binary, no evaluation on the other side, authenticated where there is a secret. */
export function encodeMetadata(metadata: AgentMetadata, secret: Uint8Array | undefined): Uint8Array {
  const writer = createByteWriter(512 + metadata.regions.length * 96);
  writer
    .u32(magic)
    .u8(metadataVersion)
    .u8(secret === undefined ? 0 : 1);
  writer.text(metadata.name).text(metadata.incarnation);
  writer.u32(metadata.connections.size);
  for (const [transport, info] of metadata.connections) writer.text(transport).bytes(info);
  writer.u32(metadata.regions.length);
  for (const region of metadata.regions) {
    writer
      .u32(region.id)
      .u64(region.key)
      .offset(region.bytes)
      .u8(memoryKinds.indexOf(region.memory))
      .offset(region.blockBytes)
      .u32(region.exported.size);
    for (const [transport, info] of region.exported) writer.text(transport).bytes(info);
  }
  if (secret !== undefined) writer.raw(createHmac("sha256", secret).update(writer.finish()).digest());
  return Uint8Array.from(writer.finish());
}

/** Unpacks metadata. Throws TRANSFER_METADATA_INVALID for damage, TRANSFER_INCOMPATIBLE for another version, TRANSFER_UNAUTHORIZED for a wrong HMAC. */
export function decodeMetadata(blob: Uint8Array, secret: Uint8Array | undefined): AgentMetadata {
  const head = createByteReader(blob, "Metadata");
  if (head.u32() !== magic)
    throw transferError("TRANSFER_METADATA_INVALID", "These bytes are not agent metadata.");
  const version = head.u8();
  if (version !== metadataVersion)
    throw transferError(
      "TRANSFER_INCOMPATIBLE",
      `Metadata of version ${version}; this build reads ${metadataVersion}. Run the same release on both sides.`,
      { version },
    );
  const isSigned = head.u8() === 1;
  let body = blob;
  if (secret !== undefined) {
    const end = blob.length - hmacBytes;
    if (
      !isSigned ||
      end < 6 ||
      !timingSafeEqual(
        createHmac("sha256", secret).update(blob.subarray(0, end)).digest(),
        blob.subarray(end),
      )
    )
      throw transferError(
        "TRANSFER_UNAUTHORIZED",
        "Metadata without a valid signature: the peer uses another secret, or none.",
      );
    body = blob.subarray(0, end);
  } else if (isSigned) body = blob.subarray(0, Math.max(6, blob.length - hmacBytes));
  const reader = createByteReader(body, "Metadata");
  reader.raw(6);
  const name = reader.text(nameLimit);
  const incarnation = reader.text(64);
  if (!/^[0-9a-f]{32}$/.test(incarnation))
    throw transferError("TRANSFER_METADATA_INVALID", "Metadata with a malformed incarnation.");
  const readMap = (): Map<string, Uint8Array> => {
    const map = new Map<string, Uint8Array>();
    for (let left = reader.count(8); left > 0; left -= 1)
      map.set(reader.text(nameLimit), Uint8Array.from(reader.bytes(infoLimit)));
    return map;
  };
  const connections = readMap();
  const regions: RemoteMemory[] = [];
  for (let left = reader.count(33); left > 0; left -= 1) {
    const id = reader.u32();
    const key = reader.u64();
    const bytes = reader.offset();
    const memory = memoryKinds[reader.u8()];
    if (memory === undefined)
      throw transferError("TRANSFER_METADATA_INVALID", `Region ${id} has an unknown kind of memory.`);
    const blockBytes = reader.offset();
    regions.push({ id, key, bytes, memory, blockBytes, exported: readMap() });
  }
  reader.end();
  return { name, incarnation, connections, regions };
}
