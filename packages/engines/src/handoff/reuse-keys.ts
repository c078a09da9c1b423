import { sha256 } from "@noble/hashes/sha2.js";

export interface ReuseScope {
  /** Digest of the weights that computed the KV. */
  readonly weightsDigest: string;
  /** Digest of KV dtype and layout. */
  readonly kvLayoutDigest: string;
  readonly adapter?: string | undefined;
  readonly tenantSalt?: string | undefined;
}

/**
 * Keys that authorise reuse of KV: SHA-256 over the previous key, the block's token ids and, at the root, weights,
 * layout, adapter and tenant (architecture section 6). One key per full block of `ids`; fields are length-prefixed, so
 * no two scopes collide.
 */
export function reuseKeys(scope: ReuseScope, ids: ArrayLike<number>, blockTokens: number): Uint8Array[] {
  const encoder = new TextEncoder();
  const root = sha256.create();
  for (const field of [
    scope.weightsDigest,
    scope.kvLayoutDigest,
    scope.adapter ?? "",
    scope.tenantSalt ?? "",
  ]) {
    const bytes = encoder.encode(field);
    root.update(littleEndian([bytes.length], 0, 1)).update(bytes);
  }
  let previous: Uint8Array = root.digest();
  const keys: Uint8Array[] = [];
  for (let start = 0; start + blockTokens <= ids.length; start += blockTokens) {
    previous = sha256
      .create()
      .update(previous)
      .update(littleEndian(ids, start, blockTokens))
      .digest();
    keys.push(previous);
  }
  return keys;
}

function littleEndian(ids: ArrayLike<number>, start: number, count: number): Uint8Array {
  const bytes = new Uint8Array(4 * count);
  const view = new DataView(bytes.buffer);
  for (let i = 0; i < count; i++) view.setUint32(4 * i, ids[start + i]!, true);
  return bytes;
}

/** Whether two keys are the same bytes. */
export function sameKey(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}
