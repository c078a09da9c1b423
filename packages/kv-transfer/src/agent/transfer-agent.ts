import type { Clock, Logger, Meter } from "@stator/core";
import type {
  EpochCheck,
  MemoryKind,
  Reach,
  RemoteAgent,
  RemoteMemory,
  Transport,
  TransferOperation,
} from "../transport/transport.ts";
import type { AgentTotals } from "./agent-counts.ts";
import type { Descriptors } from "./descriptors.ts";
import type { Notification } from "./inbox.ts";
import type { Lease, LeaseEnd } from "./lease.ts";
import type { Region } from "./region.ts";

export interface TransferAgentOptions {
  /** Name that peers see; unique among the agents that meet. Default: `agent-` and eight hex digits. */
  readonly name?: string;
  /** Ways to move bytes, in order of preference; each pair of regions takes the first that can carry it. */
  readonly transports: readonly Transport[];
  /** Shared secret: metadata is signed with it and connections without it are refused. Default: none. */
  readonly secret?: Uint8Array;
  /** Received notifications that may wait for a reader before senders are slowed, 1 or more. Default 4,096. */
  readonly inboxMessages?: number;
  /** A transfer without its own deadline ends after 5 s plus 4 ns per byte. Another constant part, in ms. */
  readonly baseDeadlineMs?: number;
  /** How long establishing a connection may take, ms. Default 1,000. */
  readonly connectDeadlineMs?: number;
  readonly clock?: Clock;
  readonly logger?: Logger;
  readonly meter?: Meter;
}

/** A region of a peer: what descriptors of the remote side point into. */
export interface RemoteRegion {
  readonly peer: string;
  readonly id: number;
  readonly bytes: number;
  readonly memory: MemoryKind;
  /** Bytes per epoch; 0 without epochs. */
  readonly blockBytes: number;
}

/** Another agent, known by its metadata. */
export interface Peer {
  readonly name: string;
  readonly incarnation: string;
  /** False once it was replaced, dropped or found dead; its handles are refused from then on. */
  readonly isCurrent: boolean;
  readonly regions: readonly RemoteRegion[];
  /** Throws TRANSFER_REGION_GONE for an unknown id. */
  region(id: number): RemoteRegion;
  /** Resolves when the peer's agent has taken the message. In order, at most once. */
  notify(tag: string, payload?: Uint8Array): Promise<void>;
  /** Renews a lease that the peer granted. */
  renewLease(id: string): Promise<void>;
  releaseLease(id: string): Promise<void>;
  /** Called once when the peer is known to be gone. Returns the unsubscribe. */
  onLost(listener: (error: Error) => void): () => void;
  /** Forgets regions that were imported, to keep long-lived peers small. */
  forget(regionIds: readonly number[]): void;
}

export interface TransferRequest {
  readonly operation: TransferOperation;
  readonly peer: Peer;
  readonly local: Descriptors;
  readonly remote: Descriptors;
  /** Pieces of `local` to take, in order. Default: all. */
  readonly localIndex?: Uint32Array;
  readonly remoteIndex?: Uint32Array;
  /** Sent to the peer after the data is visible there. */
  readonly notify?: { readonly tag: string; readonly payload?: Uint8Array };
  /** Epochs at the peer that must hold before and after the data. */
  readonly epochs?: readonly EpochCheck[];
  /** Time for the whole transfer, connecting included, ms. */
  readonly deadlineMs?: number;
  readonly signal?: AbortSignal;
  /** Refuses slower ways: TRANSFER_PATH_UNAVAILABLE instead of a silent fallback. */
  readonly require?: PathRequirement;
}

export interface PathRequirement {
  /** Names of acceptable transports. */
  readonly transports?: readonly string[];
  /** Estimated bytes per second that the path must promise. */
  readonly bytesPerSecond?: number;
}

export type TransferStatus = "idle" | "inProgress" | "cancelling" | "done" | "failed" | "released";

export interface TransferStats {
  readonly bytes: number;
  /** Pieces after merging. */
  readonly pieces: number;
  readonly postMicros: number;
  readonly totalMicros: number;
  /** Transports that carried it. */
  readonly transports: readonly string[];
  /** Paths that failed before the one that worked. */
  readonly failovers: number;
}

/** A prepared transfer. `post` may be repeated after each end. */
export interface Transfer {
  readonly status: TransferStatus;
  readonly stats: TransferStats;
  /** Starts it. `done` if it ended within the call. Throws TRANSFER_REPOST while one is running. */
  post(): "done" | "inProgress";
  /** The end of the last post: resolves with its stats, rejects with a TransferError. Settles only when nothing touches memory for it any more. */
  readonly completion: Promise<TransferStats>;
  /** Ends it early if it runs, resolves at quiescence; the buffers may be reused then. The handle is spent. */
  release(): Promise<void>;
}

/** How one transport would carry something. */
export interface PathCandidate {
  readonly transport: string;
  readonly reach: Reach;
}

export interface PathExplanation {
  readonly peer: string;
  /** The transport that will be used. */
  readonly chosen: string | undefined;
  readonly path: string | undefined;
  readonly estimatedMicros: number | undefined;
  readonly candidates: readonly PathCandidate[];
}

export interface AllocateOptions {
  readonly bytes: number;
  /** Gives the region an epoch table with one entry per this many bytes. Default: none. */
  readonly blockBytes?: number;
  /** Default `host`. Another kind needs a transport that makes it. */
  readonly memory?: MemoryKind;
}

/** Moves bytes between this process's memory and its peers'. */
export interface TransferAgent {
  readonly name: string;
  /** 32 hex digits, drawn at creation: tells a restarted agent from the one before. */
  readonly incarnation: string;
  readonly peers: readonly Peer[];
  /** Names, in order of preference. */
  readonly transports: readonly string[];
  /** Live ones. */
  readonly regions: readonly Region[];
  readonly totals: AgentTotals;
  /** Memory in the form that the first transport which has its own carries best (shared memory), else plain. */
  allocate(options: AllocateOptions): Promise<Region>;
  /** Registers memory of the caller; several buffers become one region, end to end. */
  register(memory: Uint8Array | readonly Uint8Array[], options?: { readonly blockBytes?: number }): Region;
  /** A blob for peers; with `regions`, of those only, else of all. */
  exportMetadata(options?: { readonly regions?: readonly Region[] }): Uint8Array;
  /** Makes or updates a peer. Another incarnation of a known name replaces it at once and fails its transfers. */
  importMetadata(blob: Uint8Array): Peer;
  peer(name: string): Peer | undefined;
  /** Drops what is known of a peer; running transfers fail. */
  invalidatePeer(name: string): Promise<void>;
  createTransfer(request: TransferRequest): Transfer;
  /** Posts once, waits, releases. */
  transfer(request: TransferRequest): Promise<TransferStats>;
  /** Which way a transfer would take and why the others do not serve. */
  explain(peer: Peer, local?: Region, remote?: RemoteRegion, bytes?: number): PathExplanation;
  /** Messages of peers. One reader. */
  notifications(signal?: AbortSignal): AsyncIterable<Notification>;
  /** Resolves when `count` messages with this tag came from the peer. They are not delivered otherwise. */
  expect(peer: string, tag: string, count: number, signal?: AbortSignal): Promise<void>;
  /** Keeps something for peers; `onEnd` runs once, after `durationMs` without a renewal at the latest. */
  lease(durationMs: number, onEnd: (end: LeaseEnd) => void): Lease;
  readonly heldLeases: number;
  readonly leases: readonly Lease[];
  /** By id, for whoever a peer asked: false where no such lease is held. */
  renewLease(id: string): boolean;
  endLease(id: string): boolean;
  /** Ends running transfers, leases, regions and transports. */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** A peer as the agent keeps it. */
export interface PeerRecord extends RemoteAgent {
  readonly memories: Map<number, RemoteMemory>;
}
