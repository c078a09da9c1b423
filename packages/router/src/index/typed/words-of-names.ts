/** The low and high words of 64-bit names, in place on little-endian machines. */
export function wordsOf(names: BigUint64Array): Int32Array {
  return new Int32Array(names.buffer, names.byteOffset, names.length * 2);
}
