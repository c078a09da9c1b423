/** Names as they travel: u64 little endian each. A copy, because wire bytes are rarely aligned. */
export function namesOfBytes(bytes: Uint8Array): BigUint64Array {
  // Not `slice`: that of a Buffer shares its memory.
  return new BigUint64Array(new Uint8Array(bytes.subarray(0, bytes.length & ~7)).buffer);
}

export function bytesOfNames(names: BigUint64Array): Uint8Array<ArrayBuffer> {
  return new Uint8Array(names.slice().buffer);
}
