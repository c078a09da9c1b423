import type { Clock, Timer } from "@stator/core";
import type { Booking, Chosen, Decision, Selector } from "../selector/selector.ts";

/** What replicas tell each other. Plain data: structured clone, msgpack or JSON with a bigint replacer all carry it. */
export type ReplicaMessage = { readonly router: string } & (
  | {
      readonly type: "booked";
      readonly booking: number;
      readonly chosen: Chosen;
      readonly request: ReplicaRequest;
    }
  | { readonly type: "prefilled"; readonly booking: number; readonly cachedTokens?: number }
  | { readonly type: "progress"; readonly booking: number; readonly outputTokens: number }
  | { readonly type: "freed"; readonly booking: number }
  /** Still here; `open` bookings. A replica that hears nothing for a time frees them all. */
  | { readonly type: "alive"; readonly open: number }
  | { readonly type: "left" }
);

/** The part of a request that load and expected prefixes depend on. */
export interface ReplicaRequest {
  readonly names: BigUint64Array;
  readonly promptTokens: number;
  readonly phase?: "full" | "prefill" | "decode";
  readonly expectedOutputTokens?: number;
}

export interface ReplicatedSelectorOptions {
  readonly selector: Selector;
  /** Names this replica; unique. */
  readonly router: string;
  /** Sends to every other replica; at most once, in order per replica. Loss costs accuracy for a while, never requests. */
  readonly publish: (message: ReplicaMessage) => void;
  readonly clock: Clock;
  /** How often to say alive, in milliseconds. Default 500. */
  readonly aliveEveryMs?: number;
  /** Silence after which another replica's bookings are freed, in milliseconds. Default 3000. */
  readonly silenceMs?: number;
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

const PROGRESS_TOKENS = 64;

interface Peer {
  readonly bookings: Map<number, Booking>;
  heardMs: number;
}

/**
 * Joins a selector with those of other routers in front of the same workers: each sees the load that the others booked,
 * and expects the prefixes that they sent. KV events reach every replica on its own; `Selector.dump` warms a new one.
 */
export function createReplicatedSelector(options: ReplicatedSelectorOptions): ReplicatedSelector {
  const { selector, router, publish, clock, aliveEveryMs = 500, silenceMs = 3000 } = options;
  const peers = new Map<string, Peer>();
  let open = 0;
  let next = 0;
  let timer: Timer | undefined;

  function forget(name: string): void {
    for (const booking of peers.get(name)?.bookings.values() ?? []) booking.free();
    peers.delete(name);
  }

  function tick(): void {
    publish({ type: "alive", router, open });
    for (const [name, peer] of peers) if (clock.now() - peer.heardMs > silenceMs) forget(name);
    timer = clock.schedule(aliveEveryMs, tick);
  }
  tick();

  function told(booking: Booking): Booking {
    const id = ++next;
    let published = 0;
    let isOpen = true;
    open++;
    return {
      ...booking,
      prefilled(report) {
        booking.prefilled(report);
        if (isOpen)
          publish({
            type: "prefilled",
            router,
            booking: id,
            ...(report?.cachedTokens === undefined ? {} : { cachedTokens: report.cachedTokens }),
          });
      },
      progress(outputTokens) {
        booking.progress(outputTokens);
        if (!isOpen || outputTokens - published < PROGRESS_TOKENS) return;
        published = outputTokens;
        publish({ type: "progress", router, booking: id, outputTokens });
      },
      free() {
        booking.free();
        if (!isOpen) return;
        isOpen = false;
        open--;
        publish({ type: "freed", router, booking: id });
      },
    };
  }

  return {
    ...selector,
    get blockTokens() {
      return selector.blockTokens;
    },
    get foreignBookings() {
      let count = 0;
      for (const peer of peers.values()) count += peer.bookings.size;
      return count;
    },
    book(decision) {
      const booking = told(selector.book(decision));
      const { names, promptTokens, phase, expectedOutputTokens } = decision.request;
      publish({
        type: "booked",
        router,
        booking: next,
        chosen: decision.chosen!,
        request: {
          names,
          promptTokens,
          ...(phase === undefined ? {} : { phase }),
          ...(expectedOutputTokens === undefined ? {} : { expectedOutputTokens }),
        },
      });
      return booking;
    },
    receive(message) {
      if (message.router === router) return;
      if (message.type === "left") {
        forget(message.router);
        return;
      }
      let peer = peers.get(message.router);
      if (peer === undefined) peers.set(message.router, (peer = { bookings: new Map(), heardMs: 0 }));
      peer.heardMs = clock.now();
      if (message.type === "alive") {
        // Losses of "freed" leave strays: an idle peer has none.
        if (message.open === 0) for (const booking of peer.bookings.values()) booking.free();
        if (message.open === 0) peer.bookings.clear();
        return;
      }
      if (message.type === "booked") {
        const booking = bookForeign(selector, message.chosen, message.request);
        if (booking !== undefined) peer.bookings.set(message.booking, booking);
        return;
      }
      const booking = peer.bookings.get(message.booking);
      if (message.type === "prefilled") booking?.prefilled();
      else if (message.type === "progress") booking?.progress(message.outputTokens);
      else {
        booking?.free();
        peer.bookings.delete(message.booking);
      }
    },
    close() {
      timer?.cancel();
      publish({ type: "left", router });
      for (const name of [...peers.keys()]) forget(name);
    },
  };
}

/** Books another router's decision; undefined when that worker is not known here (yet). */
function bookForeign(selector: Selector, chosen: Chosen, request: ReplicaRequest): Booking | undefined {
  const isKnown = selector
    .loads()
    .some((load) => load.worker === chosen.worker && load.epoch === chosen.epoch);
  if (!isKnown) return undefined;
  const decision: Decision = { chosen, request, reason: "another router's", policy: selector.policy };
  return selector.book(decision);
}
