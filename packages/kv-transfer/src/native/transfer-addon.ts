import { createRequire } from "node:module";
import { transferError } from "../transfer-error.ts";

/** A batch as the addon reads it: region columns are indexes into the tables of the same call. */
export interface AddonBatch {
  readonly runs: number;
  readonly localRegion: Uint32Array;
  readonly localOffset: Float64Array;
  readonly localStride: Float64Array;
  readonly remoteRegion: Uint32Array;
  readonly remoteOffset: Float64Array;
  readonly remoteStride: Float64Array;
  readonly pieceBytes: Float64Array;
  readonly pieces: Uint32Array;
}

/** Hands memfds of this process to peers of the same user. */
interface FdServer {
  offer(id: bigint, key: bigint, fd: number): void;
  withdraw(id: bigint): void;
  close(): void;
}

/** A batch that is ready to run any number of times. Its memory must stay mapped while it runs. */
export type NativePlan = object & { readonly __plan?: never };

/** A connection of UCX; the collector closes what nobody closed. */
export type UcxEndpoint = object & { readonly __endpoint?: never };

/** Status words at the peer, and where they are read to. */
export interface UcxStatus {
  readonly addresses: BigUint64Array;
  readonly keys: readonly Uint8Array[];
  readonly before: readonly BigUint64Array[];
  readonly after: readonly BigUint64Array[];
  /** What must hold before a write begins: word `words[i]` of table `tables[i]` is `values[i]`. */
  readonly tables: Uint32Array;
  readonly words: Uint32Array;
  readonly values: BigUint64Array;
}

/** One UCX worker and its progress thread. */
export interface UcxEngine {
  version(): string;
  address(): Uint8Array;
  register(view: Uint8Array): { readonly id: number; readonly address: bigint; readonly key: Uint8Array };
  unregister(id: number): void;
  connect(address: Uint8Array): UcxEndpoint;
  /** Starts a job; its words of `status` are read before and after its data. */
  transfer(
    endpoint: UcxEndpoint,
    isRead: boolean,
    batch: AddonBatch,
    local: readonly Uint8Array[],
    remote: BigUint64Array,
    keys: readonly Uint8Array[],
    status: UcxStatus,
  ): number;
  stop(job: number): void;
  disconnect(endpoint: UcxEndpoint): void;
  close(): void;
}

/** A peer's memory as its metadata names it: parts of regions, with their keys and sizes. */
export interface WireParts {
  readonly regions: Uint32Array;
  readonly segments: Uint32Array;
  readonly keys: BigUint64Array;
  readonly bytes: Float64Array;
}

export interface WireChecks {
  readonly regions: Uint32Array;
  readonly blocks: Uint32Array;
  readonly expected: BigUint64Array;
}

/** Native data connections and the threads that drive them. */
export interface WireEngine {
  addRegion(id: number, key: bigint, segments: readonly Uint8Array[], status: BigUint64Array): void;
  /** Returns when no thread is inside the region's memory any more. */
  removeRegion(id: number): void;
  attach(fd: number, isDialer: boolean, greeting?: Uint8Array): number;
  detach(connection: number): void;
  transfer(
    connection: number,
    isRead: boolean,
    batch: AddonBatch,
    local: readonly Uint8Array[],
    parts: WireParts,
    checks: WireChecks,
  ): number;
  stop(connection: number, job: number): void;
  close(): void;
}

/** What the C++ addon of this package exports. */
export interface TransferAddon {
  memfdAllocate(bytes: number): { readonly fd: number; readonly buffer: ArrayBuffer };
  mapFd(fd: number, bytes: number): ArrayBuffer;
  hugeAllocate(bytes: number): ArrayBuffer;
  unmap(buffer: ArrayBufferLike): void;
  addressOf(view: Uint8Array): bigint;
  closeFd(fd: number): void;
  readonly FdServer: new (path: string) => FdServer;
  receiveFd(path: string, id: bigint, key: bigint): number | undefined;
  /** A batch over memory that is mapped here. `lifeWords` must be 1 before and after the data. */
  planCopy(
    batch: AddonBatch,
    local: readonly Uint8Array[],
    remote: readonly Uint8Array[],
    lifeWords: readonly BigUint64Array[],
  ): NativePlan;
  /** A batch over another process's addresses. */
  planCma(
    pid: number,
    pidfd: number,
    batch: AddonBatch,
    local: readonly Uint8Array[],
    remote: BigUint64Array,
    lifeAddresses: BigUint64Array,
  ): NativePlan;
  /** A batch over open files, four numbers each: descriptor, descriptor past the page cache or -1, bytes, position of the status words. */
  planFiles(batch: AddonBatch, local: readonly Uint8Array[], files: Float64Array, rings: boolean): NativePlan;
  /** Whether this kernel lets us use io_uring. */
  hasRings(): boolean;
  /** Runs within the call: 0 done, 1 a region is gone. */
  runPlan(plan: NativePlan, isRead: boolean): number;
  /** Runs on the addon's threads. `done` is told 0 done, 1 a region is gone, 2 stopped, 3 failed. Returns what stops it. */
  runPlanAsync(
    plan: NativePlan,
    isRead: boolean,
    done: (status: number, code?: string, message?: string) => void,
  ): () => void;
  /** The plain copy from remote to local, against which benches measure. */
  memcpyRuns(batch: AddonBatch, local: readonly Uint8Array[], remote: readonly Uint8Array[]): void;
  cmaWords(pid: number, pidfd: number, address: bigint, target: BigUint64Array): void;
  /** Throws where the library can't be opened, or is none of UCX. */
  readonly Ucx: new (
    library: string,
    /** Status 0: done, 1: stopped, 2: failed. */
    onEnd: (kind: number, job: number, status: number, message: string) => void,
  ) => UcxEngine;
  /** Events: 0 a transfer ended and so many bytes of it, from the first, have arrived; 1 a connection ended, 2 a peer's request was refused. */
  readonly Wire: new (
    onEvent: (kind: number, id: number, status: number, message: string, bytes: number) => void,
  ) => WireEngine;
  pidfdOpen(pid: number): number;
  allowAttach(): void;
}

/** The addon, or why there is none. */
export type AddonState =
  | { readonly isAvailable: true; readonly addon: TransferAddon; readonly from: string }
  | { readonly isAvailable: false; readonly reason: string };

const requireHere = createRequire(import.meta.url);
const platform = `${process.platform}-${process.arch}`;
let state: AddonState | undefined;

/** Loads the addon once: a local build first, then the platform package; else says what to do. Never throws. */
export function loadTransferAddon(): AddonState {
  state ??= load();
  return state;
}

/** The addon, or TRANSFER_NATIVE_UNAVAILABLE with the reason. */
export function requireTransferAddon(forWhat: string): TransferAddon {
  const loaded = loadTransferAddon();
  if (loaded.isAvailable) return loaded.addon;
  throw transferError("TRANSFER_NATIVE_UNAVAILABLE", `${forWhat} needs the native addon: ${loaded.reason}`);
}

function load(): AddonState {
  const tried: string[] = [];
  for (const candidate of ["../../native/build/stator_transfer.node", `@stator/kv-transfer-${platform}`]) {
    try {
      const addon = requireHere(candidate) as TransferAddon;
      // One built before these were there would fail at its first call.
      const lacks = (["planCopy", "runPlan", "Wire"] as const).find((name) => !(name in addon));
      if (lacks !== undefined) throw new Error(`it was built from an older source and lacks ${lacks}`);
      return { isAvailable: true, addon, from: candidate };
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      // Absent is normal; present and unloadable is worth its own words.
      if (code !== "MODULE_NOT_FOUND") tried.push(`${candidate}: ${message.split("\n")[0]}`);
    }
  }
  const hint = `no addon for ${platform}; in the repository run \`npm run build:native\`, else install @stator/kv-transfer-${platform}.`;
  return { isAvailable: false, reason: tried.length === 0 ? hint : `${tried.join("; ")}; ${hint}` };
}
