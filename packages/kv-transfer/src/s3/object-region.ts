import { createByteReader, createByteWriter } from "../byte-codec.ts";
import { transferError } from "../transfer-error.ts";
import type { RemoteAgent } from "../transport/transport.ts";

/** A region as objects: one that says that it lives, and one for each chunk that was ever written. */
export interface ObjectRegion {
  readonly bytes: number;
  readonly chunkBytes: number;
  readonly lifeKey: string;
  readonly chunks: number;
  chunkKey(chunk: number): string;
  /** The last chunk may be shorter. */
  sizeOf(chunk: number): number;
}

export function objectRegion(name: string, bytes: number, chunkBytes: number): ObjectRegion {
  const chunks = Math.ceil(bytes / chunkBytes);
  return {
    bytes,
    chunkBytes,
    chunks,
    lifeKey: `${name}/life`,
    chunkKey: (chunk) => `${name}/${chunk}`,
    sizeOf: (chunk) => (chunk === chunks - 1 ? bytes - chunk * chunkBytes : chunkBytes),
  };
}

export function exportObjects(name: string, chunkBytes: number): Uint8Array {
  return Uint8Array.from(createByteWriter().text(name).offset(chunkBytes).finish());
}

/** A peer's region by what its metadata says. Its objects are looked for under our own prefix: a peer can't point us at any other. */
export function readObjects(peer: RemoteAgent, id: number, prefix: string): ObjectRegion {
  const memory = peer.memory(id);
  const exported = memory?.exported.get("s3");
  if (memory === undefined || exported === undefined)
    throw transferError(
      "TRANSFER_REGION_GONE",
      `Peer ${peer.name} has published no objects for region ${id}.`,
      {
        region: id,
      },
    );
  const reader = createByteReader(exported, "Objects");
  const name = reader.text(256);
  const chunkBytes = reader.offset();
  if (!/^[0-9a-f]{32}\/[0-9]+$/.test(name) || chunkBytes < 1)
    throw transferError("TRANSFER_METADATA_INVALID", "A peer named objects in a form that no agent makes.");
  return objectRegion(`${prefix}${name}`, memory.bytes, chunkBytes);
}
