import { xxh3Fallback } from "./xxh3-fallback.ts";
import { XXH3_MODULE } from "./xxh3-module.ts";

/** What the module of tools/xxh3-wasm/xxh3.c exports. */
interface Xxh3Exports {
  readonly memory: { readonly buffer: ArrayBuffer };
  input(): number;
  output(): number;
  hash(bytes: number, seed: bigint): bigint;
  name(
    blocks: number,
    stride: number,
    window: number,
    seed: bigint,
    chainSeed: bigint,
    chained: number,
    previous: bigint,
  ): bigint;
}

/** The parts of the WebAssembly API used here; typed by hand because this package has no DOM types. */
interface WebAssemblyApi {
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (module: object) => { readonly exports: unknown };
}

/** The native chain, with its exchange areas mapped. */
export interface Xxh3Native {
  readonly exports: Xxh3Exports;
  /** Where bytes and token ids go in. */
  readonly bytes: Uint8Array;
  readonly ids: Uint32Array;
  /** Where local hashes and then names come out. */
  readonly out: BigUint64Array;
}

const INPUT_BYTES = 256 * 1024;
const OUTPUT_NAMES = 2 * 16 * 1024;

function instantiate(): Xxh3Native | undefined {
  const api = (globalThis as { WebAssembly?: WebAssemblyApi }).WebAssembly;
  if (api === undefined) return undefined;
  try {
    const code = Uint8Array.from(atob(XXH3_MODULE), (char) => char.charCodeAt(0));
    const exports = new api.Instance(new api.Module(code)).exports as Xxh3Exports;
    const { buffer } = exports.memory;
    return {
      exports,
      bytes: new Uint8Array(buffer, exports.input(), INPUT_BYTES),
      ids: new Uint32Array(buffer, exports.input(), INPUT_BYTES / 4),
      out: new BigUint64Array(buffer, exports.output(), OUTPUT_NAMES),
    };
  } catch {
    // A content security policy may forbid WebAssembly: the fallback computes the same names.
    return undefined;
  }
}

let native: Xxh3Native | undefined;
let isTried = false;

/** The WebAssembly chain, instantiated at first use; undefined where the host has none. */
export function xxh3Native(): Xxh3Native | undefined {
  if (!isTried) {
    isTried = true;
    native = instantiate();
  }
  return native;
}

/** XXH3-64 of `bytes` under a 64-bit `seed` (taken modulo 2^64). */
export function xxh3(bytes: Uint8Array, seed: bigint = 0n): bigint {
  const wasm = xxh3Native();
  if (wasm === undefined || bytes.length > INPUT_BYTES) return xxh3Fallback(bytes, seed);
  wasm.bytes.set(bytes);
  return BigInt.asUintN(64, wasm.exports.hash(bytes.length, seed));
}
