import type { Digest } from "../model/token-function.ts";

/** A block as it travels: its content digest, then as many bytes derived from it as the wire size asks for. */
export function encodeBlock({ low, high }: Digest, blockBytes: number): Uint8Array {
  const bytes = new Uint8Array(blockBytes).fill(low & 0xff);
  const view = new DataView(bytes.buffer);
  view.setInt32(0, low, true);
  view.setInt32(4, high, true);
  return bytes;
}

export function decodeBlock(bytes: Uint8Array): Digest {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return { low: view.getInt32(0, true), high: view.getInt32(4, true) };
}
