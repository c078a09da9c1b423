import { createClient, type Transport } from "@connectrpc/connect";
import { RouterService, type ReplicateRequest, type ReplicateResponse } from "@stator/contracts";
import { silentLogger, systemClock, type Clock, type Logger } from "@stator/core";
import { createOutbox, type Outbox } from "./outbox.ts";
import type { ReplicaChannel } from "./replica-group.ts";

export interface PeerChannelOptions {
  /** How to reach the other routers' RouterService. Of two routers, one that lists the other is enough. */
  readonly peers: readonly Transport[];
  /** Default: the machine's. */
  readonly clock?: Clock;
  /** Default: silent. */
  readonly logger?: Logger;
}

/** Routers joined to each other without a broker, each by one stream. */
export interface PeerChannel extends ReplicaChannel {
  /** Serves `RouterService.Replicate`: give the channel to `createRouterService`. */
  accept(
    requests: AsyncIterable<Pick<ReplicateRequest, "topic" | "payload">>,
    signal: AbortSignal,
  ): AsyncIterable<Pick<ReplicateResponse, "topic" | "payload">>;
  /** Routers that are joined now. */
  readonly links: number;
  close(): void;
}

/** Wait before a peer is tried again, in milliseconds. */
const RETRY_MS = 500;

export function createPeerChannel(options: PeerChannelOptions): PeerChannel {
  const { peers, clock = systemClock, logger = silentLogger } = options;
  const outboxes = new Set<Outbox>();
  const listeners = new Map<string, Set<(payload: Uint8Array) => void>>();
  const closing = new AbortController();

  function deliver({ topic, payload }: { readonly topic: string; readonly payload: Uint8Array }): void {
    for (const listener of [...(listeners.get(topic) ?? [])]) listener(payload);
  }

  async function* drain(outbox: Outbox): AsyncIterable<{ topic: string; payload: Uint8Array<ArrayBuffer> }> {
    outboxes.add(outbox);
    try {
      yield* outbox.messages();
    } finally {
      outboxes.delete(outbox);
    }
  }

  async function connect(transport: Transport): Promise<void> {
    const client = createClient(RouterService, transport);
    while (!closing.signal.aborted) {
      const outbox = createOutbox();
      try {
        for await (const message of client.replicate(drain(outbox), { signal: closing.signal }))
          deliver(message);
      } catch (error) {
        logger.debug("another router is not reached", { error: String(error) });
      } finally {
        outbox.end();
        outboxes.delete(outbox);
      }
      if (!closing.signal.aborted)
        await new Promise<void>((resolve) => void clock.schedule(RETRY_MS, resolve));
    }
  }
  for (const transport of peers) void connect(transport);

  return {
    get links() {
      return outboxes.size;
    },
    publish(topic, payload) {
      for (const outbox of outboxes) outbox.push({ topic, payload: new Uint8Array(payload) });
      return outboxes.size > 0;
    },
    subscribe(topic, listener) {
      let all = listeners.get(topic);
      if (all === undefined) listeners.set(topic, (all = new Set()));
      all.add(listener);
      return () => all.delete(listener);
    },
    accept(requests, signal) {
      const outbox = createOutbox();
      const end = (): void => outbox.end();
      signal.addEventListener("abort", end, { once: true });
      closing.signal.addEventListener("abort", end, { once: true });
      void (async () => {
        try {
          for await (const message of requests) deliver(message);
        } catch {
          // The stream broke: the other side tries again.
        } finally {
          closing.signal.removeEventListener("abort", end);
          end();
        }
      })();
      return drain(outbox);
    },
    close() {
      closing.abort();
      for (const outbox of outboxes) outbox.end();
    },
  };
}
