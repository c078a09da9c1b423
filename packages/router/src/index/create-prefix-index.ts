import {
  DEFAULT_INDEX_BYTES,
  LEAST_INDEX_BYTES,
  type PrefixIndex,
  type PrefixIndexOptions,
} from "./prefix-index.ts";
import { TypedIndex } from "./typed/typed-index.ts";
import { createWasmIndex } from "./wasm/wasm-index.ts";

/** WebAssembly memory is addressed by 32 bits; beyond this bound nodes, buckets and tables might not fit. */
const MOST_WASM_BYTES = 2 * 1024 * 1024 * 1024;

/**
 * Creates an index.
 *
 * @throws RangeError when `maxBytes` is below 1 MiB.
 */
export function createPrefixIndex(options: PrefixIndexOptions = {}): PrefixIndex {
  const { maxBytes = DEFAULT_INDEX_BYTES, isShared = false, core = "wasm" } = options;
  if (!(maxBytes >= LEAST_INDEX_BYTES))
    throw new RangeError(`maxBytes is ${maxBytes}; it must be at least ${LEAST_INDEX_BYTES}.`);
  if (core === "wasm" && !isShared && maxBytes <= MOST_WASM_BYTES) {
    const index = createWasmIndex(maxBytes);
    if (index !== undefined) return index;
  }
  return new TypedIndex(options);
}
