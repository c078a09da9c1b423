// What the KV kernels must compute, on the host, one value at a time: the oracle for tests on a GPU and against the fake driver.

/** One strided run of a regrouping plan, in bytes. */
export interface KernelRun {
  readonly source: number;
  readonly target: number;
  readonly bytes: number;
  readonly sourceStride: number;
  readonly targetStride: number;
  readonly count: number;
}

/** Extents of four axes, outermost of the target first, and the byte strides of each side; `vectorBytes` lie together. */
export interface PermuteShape {
  readonly extents: readonly [number, number, number, number];
  readonly sourceStrides: readonly [number, number, number, number];
  readonly targetStrides: readonly [number, number, number, number];
  readonly vectorBytes: number;
}

/** `stator_regroup`. */
export function regroup(target: Uint8Array, source: Uint8Array, runs: readonly KernelRun[]): void {
  for (const run of runs)
    for (let k = 0; k < run.count; k++)
      for (let byte = 0; byte < run.bytes; byte++)
        target[run.target + k * run.targetStride + byte] = source[
          run.source + k * run.sourceStride + byte
        ] as number;
}

/** `stator_permute`. */
export function permute(target: Uint8Array, source: Uint8Array, shape: PermuteShape): void {
  const { extents, sourceStrides, targetStrides, vectorBytes } = shape;
  const [a, b, c, d] = extents;
  for (let i = 0; i < a; i++)
    for (let j = 0; j < b; j++)
      for (let k = 0; k < c; k++)
        for (let l = 0; l < d; l++) {
          const at = (strides: PermuteShape["sourceStrides"]): number =>
            i * strides[0] + j * strides[1] + k * strides[2] + l * strides[3];
          const [from, to] = [at(sourceStrides), at(targetStrides)];
          for (let byte = 0; byte < vectorBytes; byte++) target[to + byte] = source[from + byte] as number;
        }
}

/** The value of an FP8 E4M3 number. */
export function fromE4m3(code: number): number {
  const sign = (code & 0x80) === 0 ? 1 : -1;
  const [exponent, mantissa] = [(code >> 3) & 15, code & 7];
  if (exponent === 15 && mantissa === 7) return Number.NaN;
  return sign * (exponent === 0 ? mantissa * 2 ** -9 : (1 + mantissa / 8) * 2 ** (exponent - 7));
}

/** All 127 magnitudes of E4M3, ascending: the place in the list is the code. */
const magnitudes: readonly number[] = Array.from({ length: 127 }, (_, code) => fromE4m3(code));

/** The nearest FP8 E4M3 number: ties to the even code, what is beyond the largest becomes the largest. */
export function toE4m3(value: number): number {
  if (Number.isNaN(value)) return 0x7f;
  // Against what is far beyond the largest, differences would all be the same number.
  const magnitude = Math.min(448, Math.abs(value));
  let best = 126;
  for (let code = 126; code >= 0; code--) {
    const [far, near] = [
      Math.abs((magnitudes[best] as number) - magnitude),
      Math.abs((magnitudes[code] as number) - magnitude),
    ];
    if (near < far || (near === far && code % 2 === 0)) best = code;
  }
  return best | (isNegative(value) ? 0x80 : 0);
}

function isNegative(value: number): boolean {
  return value < 0 || Object.is(value, -0);
}

const scratch = new DataView(new ArrayBuffer(4));

/** The BF16 code of a value that was rounded to FP32 before: nearest, ties to even. */
export function toBf16(value: number): number {
  scratch.setFloat32(0, value);
  const bits = scratch.getUint32(0);
  if ((bits & 0x7fffffff) > 0x7f800000) return ((bits | 0x00400000) >>> 16) & 0xffff;
  return ((bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16) & 0xffff;
}

export function fromBf16(code: number): number {
  scratch.setUint32(0, code << 16);
  return scratch.getFloat32(0);
}

/** `stator_fp8_to_bf16`: one scale for every `group` values. */
export function fp8ToBf16(source: Uint8Array, scales: Float32Array, group: number): Uint16Array {
  return Uint16Array.from(source, (code, i) =>
    toBf16(Math.fround(fromE4m3(code) * (scales[Math.floor(i / group)] as number))),
  );
}

/** `stator_bf16_to_fp8`. */
export function bf16ToFp8(source: Uint16Array, scales: Float32Array, group: number): Uint8Array {
  return Uint8Array.from(source, (code, i) =>
    toE4m3(Math.fround(fromBf16(code) / (scales[Math.floor(i / group)] as number))),
  );
}

/** `stator_checksum` of one piece. */
export function checksum(words: Uint32Array): number {
  let sum = 0;
  words.forEach((word, i) => (sum = (sum + Math.imul(word, 2 * i + 1)) >>> 0));
  return sum;
}
