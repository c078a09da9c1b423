import type { KvTier } from "@stator/core";

/** Blocks that an engine stored, by its own keys; `tokenIds` holds all of them one after the other. */
export interface EngineStored {
  readonly type: "stored";
  readonly keys: readonly bigint[];
  readonly parent: bigint | undefined;
  readonly tokenIds: readonly number[];
  readonly blockTokens: number;
  readonly adapter: string | undefined;
  readonly salt: string | undefined;
  /** More went into the keys than we can name: media, prompt embeddings. */
  readonly isUnnameable: boolean;
  readonly tier: KvTier;
  readonly group: number;
  /** `full_attention` and the like; undefined where the release does not say. */
  readonly groupKind: string | undefined;
}

export interface EngineRemoved {
  readonly type: "removed";
  readonly keys: readonly bigint[];
  readonly tier: KvTier;
  readonly group: number;
}

export interface EngineCleared {
  readonly type: "cleared";
}

/** A block that went from one tier to another. */
export interface EngineMoved {
  readonly type: "moved";
  readonly key: bigint;
  readonly from: KvTier;
  readonly to: KvTier;
}

export type EngineEvent = EngineStored | EngineRemoved | EngineMoved | EngineCleared;

/** What one message of an engine's feed holds. */
export interface EngineBatch {
  readonly events: readonly EngineEvent[];
  /** Data-parallel rank, where the message says it. */
  readonly rank: number | undefined;
}
