import type { Engine } from "../engine/engine.ts";
import type { ModelCard } from "../engine/model-card.ts";
import type { WorkerHealth } from "../health/worker-health.ts";

export type WorkerRole = "prefill" | "decode" | "both";

/** What a worker can hold, for placement. */
export interface WorkerCapacity {
  /** Requests it runs at once. */
  readonly requests: number;
  /** KV blocks in all. */
  readonly kvBlocks: number;
  /** Requests it lets wait beyond those it runs; further ones are rejected as overloaded. */
  readonly queue: number;
  /** Prompt tokens it computes in one step; the chunk of chunked prefill. */
  readonly prefillTokensPerStep?: number;
}

/** One worker process in one life: who it is, as opposed to what it serves (the card). */
export interface Worker {
  readonly id: string;
  /** Names one life of `id`; another value fences everything said by earlier lives. Compared for equality only. */
  readonly epoch: string;
  readonly role: WorkerRole;
  readonly model: string;
  readonly capacity: WorkerCapacity;
  /** Data-parallel ranks; the unit of placement is `(worker, rank)`. At least 1. */
  readonly ranks: number;
  /** Workers that fail together: a node, a rack, a data-parallel group. */
  readonly failureGroup?: string;
  readonly labels: Readonly<Record<string, string>>;
}

/** A worker as its caller sees it: identity, card, the one belief about its health, and a way to call it. */
export interface WorkerHandle {
  readonly worker: Worker;
  readonly card: ModelCard;
  readonly health: WorkerHealth;
  /** Runs requests on this worker; statuses and KV events come through its `onStatus`. */
  readonly engine: Engine;
}

export type WorkerChange =
  | { readonly type: "joined"; readonly handle: WorkerHandle }
  | { readonly type: "left"; readonly handle: WorkerHandle };

/** A live set of workers. */
export interface WorkerSource {
  /** Those present now. The same handle object stays for one life of a worker. */
  current(): readonly WorkerHandle[];
  /** Called after each change, never during `onChange` itself. Returns how to stop. */
  onChange(listener: (change: WorkerChange) => void): () => void;
}
