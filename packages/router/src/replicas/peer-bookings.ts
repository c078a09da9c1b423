import { RouterError } from "../errors/router-error.ts";
import type { Booking, Decision, Selector } from "../selector/selector.ts";
import type { ReplicaChosen, ReplicaMessage, ReplicaRequest } from "./replica-message.ts";

/** Bookings of other replicas, booked here too. */
export interface PeerBookings {
  readonly count: number;
  /** Takes in a message; true when it is the first of that replica. */
  receive(message: ReplicaMessage, nowMs: number): boolean;
  /** Frees those of replicas that were silent for longer. */
  expire(nowMs: number, silenceMs: number): void;
  clear(): void;
}

/** Bookings kept for workers that are not known here yet; more are not counted. */
const MOST_WAITING = 1024;

type Booked = Extract<ReplicaMessage, { readonly type: "booked" }>;

interface Peer {
  readonly bookings: Map<number, Booking>;
  /** On workers that are not known here yet. */
  readonly waiting: Map<number, Booked>;
  heardMs: number;
}

export function createPeerBookings(selector: Selector): PeerBookings {
  const peers = new Map<string, Peer>();

  function forget(name: string): void {
    for (const booking of peers.get(name)?.bookings.values() ?? []) booking.free();
    peers.delete(name);
  }

  function book({ bookings, waiting }: Peer, message: Booked): void {
    const booking = bookForeign(selector, message.chosen, message.request);
    if (booking !== undefined) bookings.set(message.booking, booking);
    else if (waiting.size < MOST_WAITING) waiting.set(message.booking, message);
  }

  function apply(peer: Peer, message: ReplicaMessage): void {
    const { bookings, waiting } = peer;
    if (message.type === "alive") {
      // What was freed while the word of it was lost.
      for (const [id, booking] of bookings) {
        if (id >= message.oldest && message.open > 0) continue;
        booking.free();
        bookings.delete(id);
      }
      const late = [...waiting.values()].filter(
        ({ booking }) => message.open > 0 && booking >= message.oldest,
      );
      waiting.clear();
      for (const each of late) book(peer, each);
    } else if (message.type === "booked") {
      if (!bookings.has(message.booking)) book(peer, message);
    } else if (message.type === "prefilled") bookings.get(message.booking)?.prefilled();
    else if (message.type === "progress") bookings.get(message.booking)?.progress(message.outputTokens);
    else if (message.type === "freed") {
      bookings.get(message.booking)?.free();
      bookings.delete(message.booking);
      waiting.delete(message.booking);
    }
  }

  return {
    get count() {
      let count = 0;
      for (const { bookings } of peers.values()) count += bookings.size;
      return count;
    },
    receive(message, nowMs) {
      if (message.type === "left") {
        forget(message.router);
        return false;
      }
      let peer = peers.get(message.router);
      const isNew = peer === undefined;
      if (peer === undefined) {
        peer = { bookings: new Map(), waiting: new Map(), heardMs: nowMs };
        peers.set(message.router, peer);
      }
      peer.heardMs = nowMs;
      apply(peer, message);
      return isNew;
    },
    expire(nowMs, silenceMs) {
      for (const [name, peer] of peers) if (nowMs - peer.heardMs > silenceMs) forget(name);
    },
    clear() {
      for (const name of [...peers.keys()]) forget(name);
    },
  };
}

/** Books another router's decision; undefined when that worker is not known here (yet). */
function bookForeign(
  selector: Selector,
  { worker, epoch, rank, cachedTokens }: ReplicaChosen,
  request: ReplicaRequest,
): Booking | undefined {
  const terms = { costMs: 0, errorMs: 0, queueMs: 0, prefillMs: 0, transferMs: 0, tierMs: 0, decodeMs: 0 };
  const chosen = { worker, epoch, rank, cachedTokens, predictedTokens: cachedTokens, ...terms };
  const decision: Decision = { chosen, request, reason: "another router's", policy: selector.policy };
  try {
    return selector.book(decision);
  } catch (error) {
    if (RouterError.isInstance(error) && error.code === "ROUTER_NOTHING_CHOSEN") return undefined;
    throw error;
  }
}
