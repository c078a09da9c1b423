import { silentLogger, systemClock, type Clock, type Logger } from "@stator/core";
import type { Selector } from "../selector/selector.ts";
import { createReplicaDecoder, encodeReplicaMessage } from "./replica-codec.ts";
import { createReplicatedSelector, type ReplicatedSelector } from "./replicated-selector.ts";

/**
 * What carries messages between replicas: many to many, at most once, in order per sender. `EventChannel` of @stator/runtime
 * is one (NATS, memory); `createPeerChannel` another.
 */
export interface ReplicaChannel {
  /** False: nobody can hear. */
  publish(topic: string, payload: Uint8Array): boolean;
  /** Returns how to stop. */
  subscribe(topic: string, listener: (payload: Uint8Array) => void): () => void;
}

export interface ReplicaGroupOptions {
  readonly channel: ReplicaChannel;
  /** Names this router: unique for one life of it. */
  readonly router: string;
  /** Default: the machine's. */
  readonly clock?: Clock;
  /** Default: silent. */
  readonly logger?: Logger;
}

/** A router among its replicas. */
export interface ReplicaGroup {
  /**
   * Joins a selector with the others' of the same scope: a model and a role, say. With `sharesIndex`, workers and KV events
   * are shared too, and a new replica gets a snapshot of what the others know.
   */
  join(scope: string, selector: Selector, options?: { readonly sharesIndex?: boolean }): ReplicatedSelector;
  /** Tells the others. */
  close(): void;
}

export function createReplicaGroup(options: ReplicaGroupOptions): ReplicaGroup {
  const { channel, router, clock = systemClock, logger = silentLogger } = options;
  const closers: (() => void)[] = [];
  return {
    join(scope, selector, { sharesIndex = false } = {}) {
      const topic = topicOf(scope);
      const decoder = createReplicaDecoder();
      let serial = 0n;
      const replica = createReplicatedSelector({
        selector,
        router,
        clock,
        logger,
        sharesIndex,
        publish(message) {
          for (const payload of encodeReplicaMessage(message, () => ++serial))
            channel.publish(topic, payload);
        },
      });
      const stop = channel.subscribe(topic, (payload) => {
        const message = decoder.decode(payload);
        if (message !== undefined) replica.receive(message);
      });
      closers.push(() => {
        stop();
        replica.close();
      });
      return replica;
    },
    close() {
      for (const close of closers.splice(0)) close();
    },
  };
}

/** A scope as part of a subject: brokers give dots and blanks a meaning. */
function topicOf(scope: string): string {
  const hex = Array.from(new TextEncoder().encode(scope), (byte) => byte.toString(16).padStart(2, "0"));
  return `routers-${hex.join("")}`;
}
