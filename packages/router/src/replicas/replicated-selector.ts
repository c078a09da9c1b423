import { silentLogger, type Clock, type Logger, type Timer } from "@stator/core";
import type { Selector } from "../selector/selector.ts";
import { createOwnBookings } from "./own-bookings.ts";
import { createPeerBookings } from "./peer-bookings.ts";
import { createReplicaIndex } from "./replica-index.ts";
import type { ReplicaMessage } from "./replica-message.ts";

export interface ReplicatedSelectorOptions {
  readonly selector: Selector;
  /** Names this replica: unique for one life of it. */
  readonly router: string;
  /** Sends to every other replica; at most once, in order per replica. Loss costs accuracy for a while, never requests. */
  readonly publish: (message: ReplicaMessage) => void;
  readonly clock: Clock;
  /**
   * Whether workers and KV events that this replica hears of are told to the others, and a snapshot asked of them. Not needed
   * where every replica hears the workers themselves, as pools do. Default false.
   */
  readonly sharesIndex?: boolean;
  /** How often to say alive, in milliseconds. Default 250. */
  readonly aliveEveryMs?: number;
  /** Silence after which another replica's bookings are freed, in milliseconds. Default 3000. */
  readonly silenceMs?: number;
  /** Default: silent. */
  readonly logger?: Logger;
}

/** A selector whose bookings count at its peers, and theirs here. */
export interface ReplicatedSelector extends Selector {
  /** Takes in what a peer published. */
  receive(message: ReplicaMessage): void;
  /** Bookings of other replicas that count here. */
  readonly foreignBookings: number;
  /** Tells the peers and stops. The selector itself stays. */
  close(): void;
}

/**
 * Joins a selector with those of other routers in front of the same workers: each sees the load that the others booked,
 * expects the prefixes that they sent, and with `sharesIndex` knows the workers and blocks that any of them was told of.
 */
export function createReplicatedSelector(options: ReplicatedSelectorOptions): ReplicatedSelector {
  const { selector, router, publish, clock, aliveEveryMs = 250, silenceMs = 3000 } = options;
  const own = createOwnBookings(router, publish);
  const peers = createPeerBookings(selector);
  const index =
    options.sharesIndex === true
      ? createReplicaIndex({ selector, router, publish, clock, logger: options.logger ?? silentLogger })
      : undefined;
  let timer: Timer;

  function tick(): void {
    const workers = index?.workers() ?? [];
    publish({ type: "alive", router, open: own.open, oldest: own.oldest, workers });
    peers.expire(clock.now(), silenceMs);
    timer = clock.schedule(aliveEveryMs, tick);
  }
  // Not before whoever creates it can hear the answers.
  timer = clock.schedule(0, tick);

  return {
    ...selector,
    get blockTokens() {
      return selector.blockTokens;
    },
    get foreignBookings() {
      return peers.count;
    },
    ...(index === undefined
      ? {}
      : { addWorker: index.addWorker, removeWorker: index.removeWorker, observe: index.observe }),
    book: (decision) => own.tell(selector.book(decision), decision),
    receive(message) {
      if (message.router === router || (message.to !== undefined && message.to !== router)) return;
      const nowMs = clock.now();
      index?.receive(message, nowMs);
      if (peers.receive(message, nowMs)) own.retell(message.router);
    },
    close() {
      timer.cancel();
      index?.close();
      publish({ type: "left", router });
      peers.clear();
    },
  };
}
