import { transferError } from "../transfer-error.ts";

const keyBytes = 32;

/** Most keys of one message: 64 tokens each, a prompt of four million. */
const mostKeys = 65_536;

/** SHA-256 keys, one after the other. */
export function joinKeys(keys: readonly Uint8Array[]): Uint8Array {
  const joined = new Uint8Array(keys.length * keyBytes);
  keys.forEach((key, index) => joined.set(key, index * keyBytes));
  return joined;
}

/** @throws TransferError TRANSFER_OPTION_INVALID if the length is no multiple of a key's, TRANSFER_LIMIT beyond 65,536 keys */
export function splitKeys(joined: Uint8Array): Uint8Array[] {
  const count = joined.length / keyBytes;
  if (!Number.isInteger(count))
    throw transferError(
      "TRANSFER_OPTION_INVALID",
      `A list of keys has ${joined.length} bytes, no multiple of 32.`,
    );
  if (count > mostKeys)
    throw transferError("TRANSFER_LIMIT", `A list has ${count} keys; ask for at most ${mostKeys} at once.`);
  return Array.from({ length: count }, (_, i) => joined.slice(i * keyBytes, (i + 1) * keyBytes));
}
