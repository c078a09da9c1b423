import type { Clock, Logger, Meter } from "@stator/core";
import type { DeviceBacking } from "../cuda/gpu.ts";
import type { TransferError } from "../transfer-error.ts";

/** Where bytes lie. `device` is GPU memory; `file` and `object` are storage. */
export type MemoryKind = "host" | "device" | "file" | "object";

/** `read` copies from the peer to here, `write` from here to the peer. */
export type TransferOperation = "read" | "write";

/** What a transport promises; the conformance suite holds it to this. */
export interface TransportCapabilities {
  /** How far it reaches: within the process, between processes of one host, over a network. */
  readonly scope: "process" | "host" | "network";
  readonly memory: readonly MemoryKind[];
  /** True if data moves while the target's CPU does nothing (a stopped target does not stop a transfer). */
  readonly isOneSided: boolean;
  /** `remote`: a done write has been confirmed by the target. `local`: it has been stored where the target will see it. */
  readonly acknowledges: "local" | "remote";
  /** Who refuses an out-of-range access. */
  readonly boundsCheckedBy: "initiator" | "target" | "hardware";
  readonly carriesNotifications: boolean;
}

/** Block versions of a region, 8 bytes each. The owner bumps a block's epoch before it reuses the block. */
export interface EpochTable {
  readonly blocks: number;
  readonly blockBytes: number;
  get(block: number): bigint;
  /** Adds one and returns the new value: readers that expect the old one fail with TRANSFER_STALE_EPOCH. */
  bump(block: number): bigint;
}

/** Memory that other processes can open: a file, a memfd that is passed over a socket, or objects of a store. */
export interface SharedBacking {
  readonly kind: "file" | "memfd" | "object";
  /** -1 for objects. */
  readonly fd: number;
  /** File name in the transport's directory, the name under which the memfd is handed out, or what object keys begin with. */
  readonly name: string;
  /** Byte position of the status words: 8 bytes that are 1 while the region lives, then the epochs, 8 bytes each. */
  readonly statusOffset: number;
}

/** A registered region as transports see it. */
export interface RegionMemory {
  readonly id: number;
  /** Secret of this region, 64 bits: who does not present it is refused. */
  readonly key: bigint;
  readonly bytes: number;
  readonly memory: MemoryKind;
  readonly isAlive: boolean;
  readonly epochs: EpochTable | undefined;
  readonly shared: SharedBacking | undefined;
  /** Of `device` memory. */
  readonly device: DeviceBacking | undefined;
  /** The address ranges that make up the region, end to end; absent for memory without addresses here. */
  readonly segments: readonly Uint8Array[] | undefined;
  /** 64-bit words: [0] is 1 while the region lives, then the epochs. Absent where they lie elsewhere. */
  readonly status: BigUint64Array | undefined;
  /** Bytes at `offset`: a view where memory allows, else a copy. The caller has checked bounds. */
  gather(offset: number, length: number): Uint8Array;
  /** Stores bytes at `offset`. The caller has checked bounds. */
  scatter(offset: number, source: Uint8Array): void;
}

/**
 * Paired pieces as packed arrays. Run `i` is `pieces[i]` pieces of `pieceBytes[i]` bytes; piece `k` lies at `localOffset[i] + k * localStride[i]`
 * in region `localRegion[i]` here, and likewise at the peer. Offsets are exact in a double (below 2^53).
 */
export interface RunBatch {
  readonly runs: number;
  readonly localRegion: Uint32Array;
  readonly localOffset: Float64Array;
  readonly localStride: Float64Array;
  readonly remoteRegion: Uint32Array;
  readonly remoteOffset: Float64Array;
  readonly remoteStride: Float64Array;
  readonly pieceBytes: Float64Array;
  readonly pieces: Uint32Array;
  readonly totalBytes: number;
  readonly totalPieces: number;
  /** What the link that carried it last has made of it, for links alone to read and write. Copies of a batch must not believe it: `of` names the original. */
  prepared?: PreparedBatch | undefined;
}

/** Kept with a batch for when it is posted again. */
export interface PreparedBatch {
  readonly by: object;
  readonly of: RunBatch;
}

/** Epochs at the peer that must hold before and after the data of the same batch. */
export interface EpochCheck {
  readonly region: number;
  readonly blocks: Uint32Array;
  readonly expected: BigUint64Array;
}

/** One batch on one link. `settle` is called exactly once, when neither side touches memory for it any more. */
export interface Work {
  readonly operation: TransferOperation;
  readonly batch: RunBatch;
  readonly epochs: readonly EpochCheck[];
  /**
   * `undefined` is success; the error of a cancelled work is TRANSFER_CANCELLED. May be called inside `post`. With an error, `left` are the pieces that
   * have not arrived: another path carries only those. Default: all.
   */
  settle(error: TransferError | undefined, left?: RunBatch): void;
}

/** A peer's region as its metadata describes it. */
export interface RemoteMemory {
  readonly id: number;
  readonly key: bigint;
  readonly bytes: number;
  readonly memory: MemoryKind;
  /** Bytes covered by one epoch; 0 without an epoch table. */
  readonly blockBytes: number;
  /** What each transport of the owner said about it, by transport name. */
  readonly exported: ReadonlyMap<string, Uint8Array>;
}

/** A peer as its metadata describes it. */
export interface RemoteAgent {
  readonly name: string;
  /** 32 hex digits, new at each start of the peer. */
  readonly incarnation: string;
  readonly connections: ReadonlyMap<string, Uint8Array>;
  memory(regionId: number): RemoteMemory | undefined;
}

/** Whether and how a transport reaches a peer, or a pair of regions there. */
export type Reach =
  | {
      readonly isReachable: true;
      readonly path: string;
      readonly bytesPerSecond: number;
      readonly latencyMicros: number;
    }
  | { readonly isReachable: false; readonly reason: string };

/** A message to a peer's agent. */
export interface WireNotification {
  readonly kind: "user" | "lease";
  /** Rises by one per sender incarnation, receiver and kind. */
  readonly sequence: number;
  /** The message that comes before it: one less, or where the sender gave some up, the last that it did not. */
  readonly follows: number;
  readonly tag: string;
  readonly payload: Uint8Array;
}

/** A connection to one peer. */
export interface Link {
  readonly isOpen: boolean;
  post(work: Work): void;
  /** Asks for an early end; `settle` still comes, at quiescence. */
  cancel(work: Work): void;
  /** Resolves when the peer's agent accepted the message; absent where `carriesNotifications` is false. */
  notify?(message: WireNotification): Promise<void>;
  close(): Promise<void>;
}

/** What the agent offers its transports. */
export interface TransportHost {
  readonly name: string;
  readonly incarnation: string;
  /** Shared secret of the agents that may talk to each other, where one was set. */
  readonly secret: Uint8Array | undefined;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly meter: Meter;
  region(id: number): RegionMemory | undefined;
  /** For requests of peers: the region if it is alive and the key fits, else TRANSFER_REGION_GONE. */
  admit(id: number, key: bigint): RegionMemory;
  /** An inbound notification. Resolves once there is room for it: the transport acknowledges only then. */
  deliver(
    from: { readonly name: string; readonly incarnation: string },
    message: WireNotification,
  ): Promise<void>;
  /** A link ended without `close`. */
  linkLost(peer: RemoteAgent, transport: string, error: TransferError): void;
}

/** A transport in use by one agent. */
export interface OpenTransport {
  readonly name: string;
  readonly capabilities: TransportCapabilities;
  /** Travels in the metadata blob; peers get it back in `reach` and `connect`. */
  connectionInfo(): Uint8Array;
  /** What peers need to use this region, or the reason why this transport can't carry it. */
  exportRegion(region: RegionMemory): Uint8Array | { readonly reason: string };
  /** Can it go there, by which path, how fast. Without regions: the peer in general. No I/O beyond a stat. */
  reach(peer: RemoteAgent, local?: RegionMemory, remote?: RemoteMemory): Reach;
  connect(peer: RemoteAgent, signal: AbortSignal): Promise<Link>;
  /** Kind of memory that `allocate` makes. Default `host`. */
  readonly allocates?: MemoryKind;
  /** Makes memory that this transport carries best, where it has such. */
  allocate?(bytes: number, epochs: { readonly blockBytes: number } | undefined): Promise<AllocatedMemory>;
  /** The peer's metadata was replaced or dropped: forget what was opened of it, or of one region. */
  drop?(peer: RemoteAgent, region?: RemoteMemory): void;
  /** A region of this agent is gone: undo what `exportRegion` did for it. Its memory is still there during the call. */
  forgetRegion?(regionId: number): void;
  close(): Promise<void>;
}

/** Memory from a transport's `allocate`. */
export interface AllocatedMemory {
  /** Default `host`. */
  readonly memory?: MemoryKind;
  readonly device?: DeviceBacking;
  readonly segments: readonly Uint8Array[] | undefined;
  readonly status: BigUint64Array | undefined;
  readonly shared: SharedBacking | undefined;
  readonly epochs: EpochTable | undefined;
  gather(offset: number, length: number): Uint8Array;
  scatter(offset: number, source: Uint8Array): void;
  /** `deregister` waits for it. */
  free(): void | Promise<void>;
}

/** The plug-in: `createAgent({ transports: [tcp()] })`. Order is preference. */
export interface Transport {
  readonly name: string;
  open(host: TransportHost): Promise<OpenTransport>;
}
