/** The bytes of 32-bit words without a copy. The wire is little endian, as is every platform that Node runs on here. */
export function bytesOfU32(words: Uint32Array): Uint8Array {
  return new Uint8Array(words.buffer, words.byteOffset, words.byteLength);
}

/** A copy of the words in `bytes`, which may lie unaligned in a network chunk. */
export function u32OfBytes(bytes: Uint8Array): Uint32Array {
  const copy = new Uint8Array(bytes.byteLength - (bytes.byteLength % 4));
  copy.set(bytes.subarray(0, copy.byteLength));
  return new Uint32Array(copy.buffer);
}

export function bytesOfU64(words: BigUint64Array): Uint8Array {
  return new Uint8Array(words.buffer, words.byteOffset, words.byteLength);
}

export function u64OfBytes(bytes: Uint8Array): BigUint64Array {
  const copy = new Uint8Array(bytes.byteLength - (bytes.byteLength % 8));
  copy.set(bytes.subarray(0, copy.byteLength));
  return new BigUint64Array(copy.buffer);
}
