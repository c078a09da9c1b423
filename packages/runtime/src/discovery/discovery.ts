import type { Registration } from "@stator/contracts";
import type { Clock, Deadlines, Logger } from "@stator/core";

/** What a store is opened with. */
export interface DiscoveryContext {
  /** Records of other namespaces are never seen. */
  readonly namespace: string;
  readonly clock: Clock;
  readonly deadlines: Deadlines;
  readonly logger: Logger;
  /** Told after each look at the store whether it answered. */
  readonly onAnswer?: (isUp: boolean) => void;
}

/** A change of who exists. A record replaces the earlier one of the same `id`. */
export type DiscoveryChange =
  | { readonly type: "put"; readonly record: Registration }
  | { readonly type: "removed"; readonly id: string; readonly epoch: string };

/**
 * Who exists: records with a lease of `deadlines.registrationTtlMs`. The memory, file, Redis and NATS stores pass one
 * compliance suite (`@stator/runtime/testing`).
 */
export interface DiscoveryStore {
  /**
   * Writes a record and renews its lease. `claim` makes this life the owner of the id; without it the write is refused
   * while another life owns it.
   *
   * @throws RuntimeError `RUNTIME_EPOCH_FENCED` when another life owns the id, `RUNTIME_DISCOVERY_FAILED` when the store
   *   does not answer in time: the record may or may not be written then.
   */
  put(record: Registration, options: { readonly claim: boolean }): Promise<void>;
  /** Removes the record if this life still owns it. @throws RuntimeError as `put` does. */
  remove(id: string, epoch: string): Promise<void>;
  /**
   * Tells the records that exist, then every change in order: no put of an equal record twice, no removal of an unknown
   * one. While the store is lost nothing is told: what was known stays. Returns how to stop.
   */
  watch(listener: (change: DiscoveryChange) => void): () => void;
  close(): Promise<void>;
}

/** A kind of store, to be given to `createRuntime`. */
export interface Discovery {
  /** For logs and errors: `memory`, `file /tmp/…`, `redis …`. */
  readonly name: string;
  /** Records never leave this process: no socket is opened for what is served. */
  readonly isLocal: boolean;
  open(context: DiscoveryContext): Promise<DiscoveryStore>;
}
