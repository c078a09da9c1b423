// XXH3-64 with a seed, in BigInt: for hosts without WebAssembly. An own implementation of Yann Collet's
// specification (https://github.com/Cyan4973/xxHash, doc/xxhash_spec.md); xxh3.c of tools/xxh3-wasm is its twin.
const MASK = (1n << 64n) - 1n;
const P32_1 = 0x9e3779b1n;
const P32_2 = 0x85ebca77n;
const P32_3 = 0xc2b2ae3dn;
const P64_1 = 0x9e3779b185ebca87n;
const P64_2 = 0xc2b2ae3d27d4eb4fn;
const P64_3 = 0x165667b19e3779f9n;
const P64_4 = 0x85ebca77c2b2ae63n;
const P64_5 = 0x27d4eb2f165667c5n;
const MX1 = 0x165667919e3779f9n;
const MX2 = 0x9fb21c651e98df25n;

const SECRET_HEX =
  "b8fe6c3923a44bbe7c01812cf721ad1cded46de9839097db7240a4a4b7b3671fcb79e64eccc0e578825ad07dccff7221" +
  "b8084674f743248ee03590e6813a264c3c2852bb91c300cb88d0658b1b532ea371644897a20df94e3819ef46a9deacd8" +
  "a8fa763fe39c343ff9dcbbc7c70b4f1d8a51e04bcdb45931c89f7ec9d9787364eac5ac8334d3ebc3c581a0fffa1363eb" +
  "170ddd51b7f0da49d316552629d4689e2b16be587d47a1fc8ff8b8d17ad031ce45cb3a8f95160428afd7fbcabb4b407e";

function bytesOfHex(hex: string): DataView {
  const bytes = new Uint8Array(hex.length / 2);
  for (let i = 0; i < bytes.length; i++) bytes[i] = Number.parseInt(hex.slice(2 * i, 2 * i + 2), 16);
  return new DataView(bytes.buffer);
}

const secret = bytesOfHex(SECRET_HEX);

const at = (view: DataView, offset: number): bigint => view.getBigUint64(offset, true);
const wrap = (value: bigint): bigint => value & MASK;
const rotateLeft = (value: bigint, bits: bigint): bigint => wrap((value << bits) | (value >> (64n - bits)));

function fold(a: bigint, b: bigint): bigint {
  const product = a * b;
  return (product & MASK) ^ (product >> 64n);
}

function swapBytes(value: bigint): bigint {
  let swapped = 0n;
  for (let i = 0n; i < 64n; i += 8n) swapped = (swapped << 8n) | ((value >> i) & 0xffn);
  return swapped;
}

function avalanche64(value: bigint): bigint {
  let h = wrap((value ^ (value >> 33n)) * P64_2);
  h = wrap((h ^ (h >> 29n)) * P64_3);
  return h ^ (h >> 32n);
}

function avalanche(value: bigint): bigint {
  const h = wrap((value ^ (value >> 37n)) * MX1);
  return h ^ (h >> 32n);
}

function mix16(input: DataView, offset: number, secretOffset: number, seed: bigint): bigint {
  return fold(
    at(input, offset) ^ wrap(at(secret, secretOffset) + seed),
    at(input, offset + 8) ^ wrap(at(secret, secretOffset + 8) - seed),
  );
}

function upTo16(input: DataView, seed: bigint): bigint {
  const length = input.byteLength;
  if (length > 8) {
    const low = at(input, 0) ^ wrap((at(secret, 24) ^ at(secret, 32)) + seed);
    const high = at(input, length - 8) ^ wrap((at(secret, 40) ^ at(secret, 48)) - seed);
    return avalanche(wrap(BigInt(length) + swapBytes(low) + high + fold(low, high)));
  }
  if (length >= 4) {
    const mixedSeed = seed ^ wrap((swapBytes(seed & 0xffffffffn) >> 32n) << 32n);
    const word = BigInt(input.getUint32(length - 4, true)) + (BigInt(input.getUint32(0, true)) << 32n);
    let h = word ^ wrap((at(secret, 8) ^ at(secret, 16)) - mixedSeed);
    h = wrap((h ^ rotateLeft(h, 49n) ^ rotateLeft(h, 24n)) * MX2);
    h = wrap((h ^ ((h >> 35n) + BigInt(length))) * MX2);
    return h ^ (h >> 28n);
  }
  if (length > 0) {
    const combined =
      ((input.getUint8(0) << 16) |
        (input.getUint8(length >> 1) << 24) |
        input.getUint8(length - 1) |
        (length << 8)) >>>
      0;
    const flip = BigInt((secret.getUint32(0, true) ^ secret.getUint32(4, true)) >>> 0);
    return avalanche64(BigInt(combined) ^ wrap(flip + seed));
  }
  return avalanche64(seed ^ at(secret, 56) ^ at(secret, 64));
}

function upTo240(input: DataView, seed: bigint): bigint {
  const length = input.byteLength;
  let sum = wrap(BigInt(length) * P64_1);
  if (length <= 128) {
    for (let pair = ((length - 1) >> 5) | 0; pair >= 0; pair--) {
      sum +=
        mix16(input, 16 * pair, 32 * pair, seed) +
        mix16(input, length - 16 * (pair + 1), 32 * pair + 16, seed);
    }
    return avalanche(wrap(sum));
  }
  for (let i = 0; i < 8; i++) sum += mix16(input, 16 * i, 16 * i, seed);
  sum = avalanche(wrap(sum));
  for (let i = 8; i < length >> 4; i++) sum += mix16(input, 16 * i, 16 * (i - 8) + 3, seed);
  return avalanche(wrap(sum + mix16(input, length - 16, 119, seed)));
}

function accumulate(sums: bigint[], input: DataView, offset: number, key: DataView, keyOffset: number): void {
  for (let i = 0; i < 8; i++) {
    const data = at(input, offset + 8 * i);
    const keyed = data ^ at(key, keyOffset + 8 * i);
    sums[i ^ 1] = wrap(sums[i ^ 1]! + data);
    sums[i] = wrap(sums[i]! + (keyed & 0xffffffffn) * (keyed >> 32n));
  }
}

function longer(input: DataView, seed: bigint): bigint {
  const length = input.byteLength;
  const key = new DataView(new ArrayBuffer(192));
  for (let i = 0; i < 192; i += 16) {
    key.setBigUint64(i, wrap(at(secret, i) + seed), true);
    key.setBigUint64(i + 8, wrap(at(secret, i + 8) - seed), true);
  }
  const sums = [P32_3, P64_1, P64_2, P64_3, P64_4, P32_2, P64_5, P32_1];
  const stripes = Math.floor((length - 1) / 64);
  for (let n = 0; n < stripes; n++) {
    accumulate(sums, input, n * 64, key, (n % 16) * 8);
    if (n % 16 !== 15) continue;
    for (let i = 0; i < 8; i++) sums[i] = wrap((sums[i]! ^ (sums[i]! >> 47n) ^ at(key, 128 + 8 * i)) * P32_1);
  }
  accumulate(sums, input, length - 64, key, 121);
  let h = wrap(BigInt(length) * P64_1);
  for (let i = 0; i < 4; i++)
    h += fold(sums[2 * i]! ^ at(key, 11 + 16 * i), sums[2 * i + 1]! ^ at(key, 19 + 16 * i));
  return avalanche(wrap(h));
}

/** XXH3-64 of `bytes`, without WebAssembly. About 1 µs a byte-quad: correct everywhere, fast nowhere. */
export function xxh3Fallback(bytes: Uint8Array, seed: bigint): bigint {
  const input = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const unsignedSeed = BigInt.asUintN(64, seed);
  if (bytes.length <= 16) return upTo16(input, unsignedSeed);
  return bytes.length <= 240 ? upTo240(input, unsignedSeed) : longer(input, unsignedSeed);
}
