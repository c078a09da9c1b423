/** One KV block on offer: its SHA-256 reuse key (32 bytes) and its content. */
export interface OfferedBlock {
  readonly key: Uint8Array;
  readonly bytes: Uint8Array;
}

/** Blocks held for a peer until they are released or their lease runs out. */
export interface HandoffOffer {
  /** What the peer's sink needs to fetch them. */
  readonly opaque: Uint8Array;
  readonly leaseId: string;
  /** Starts the lease anew. */
  renew(): void;
  /** Frees the blocks. Idempotent. */
  release(): void;
}

/** Where a prefill engine leaves KV blocks; `createHandoffSource` of `@stator/kv-transfer` makes one. */
export interface HandoffSource {
  offer(options: {
    readonly blocks: readonly OfferedBlock[];
    readonly leaseMs: number;
  }): HandoffOffer | Promise<HandoffOffer>;
}

export interface FetchOptions {
  /** Whether the block is missing here; only such blocks travel. */
  lacks(index: number, key: Uint8Array): boolean;
  readonly signal: AbortSignal;
}

/** How a decode engine gets KV blocks; `createHandoffSink` of `@stator/kv-transfer` makes one. */
export interface HandoffSink {
  /** All lacked blocks, checked, or an error; `undefined` where nothing was lacked. Releases the source's lease. */
  fetch(opaque: Uint8Array, options: FetchOptions): Promise<readonly (Uint8Array | undefined)[]>;
}

/** Both ends, as an engine takes them. */
export interface Transfer {
  readonly source: HandoffSource;
  readonly sink: HandoffSink;
}
