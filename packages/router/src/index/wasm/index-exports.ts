import { INDEX_MODULE } from "./index-module.ts";

/** What the module of tools/prefix-index-wasm exports. Addresses are in bytes, `find` and nodes in words. */
export interface IndexExports {
  readonly memory: { readonly buffer: ArrayBuffer };
  open(maxBytes: number): number;
  names(): number;
  keys(): number;
  parents(): number;
  depths(): number;
  hostBlocks(): number;
  diskBlocks(): number;
  probes(): number;
  counts(): number;
  targets(): number;
  addTarget(): number;
  removeTarget(target: number): void;
  clear(target: number): number;
  bitOf(target: number): number;
  blocksOf(target: number): number;
  digestOf(target: number): bigint;
  find(target: number): number;
  store(target: number, count: number, hasKeys: number, hasParent: number, tier: number): number;
  remove(target: number, count: number, tier: number): void;
  lookup(count: number): void;
  sweep(nodes: number): void;
}

/** The parts of the WebAssembly API used here; typed by hand because this package has no DOM types. */
interface WebAssemblyApi {
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (module: object) => { readonly exports: unknown };
}

const api = (globalThis as { WebAssembly?: WebAssemblyApi }).WebAssembly;
let compiled: object | undefined;
let isTried = false;

/** Whether this platform runs WebAssembly; a content security policy may forbid it. */
export function canInstantiate(): boolean {
  if (isTried) return compiled !== undefined;
  isTried = true;
  if (api === undefined) return false;
  try {
    compiled = new api.Module(Uint8Array.from(atob(INDEX_MODULE), (char) => char.charCodeAt(0)));
  } catch {
    // JavaScript runs the index then, and answers alike.
  }
  return compiled !== undefined;
}

/** A fresh instance with memory for `maxBytes` of blocks; undefined if the address space is not to be had. */
export function instantiate(maxBytes: number): IndexExports | undefined {
  try {
    const exports = new api!.Instance(compiled!).exports as IndexExports;
    return exports.open(maxBytes) === 1 ? exports : undefined;
  } catch {
    return undefined;
  }
}
