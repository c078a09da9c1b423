import type { Booking, Decision } from "../selector/selector.ts";
import type { ReplicaMessage, ReplicaRequest } from "./replica-message.ts";

/** Output tokens after which progress is told again. */
const PROGRESS_TOKENS = 64;

/** Bookings of this replica, told to the others. */
export interface OwnBookings {
  readonly open: number;
  /** Smallest number of an open booking; the next one's when none is. */
  readonly oldest: number;
  tell(booking: Booking, decision: Decision): Booking;
  /** Tells one replica all that is open: it came later. */
  retell(to: string): void;
}

interface Open {
  readonly booking: Booking;
  readonly request: ReplicaRequest;
}

export function createOwnBookings(router: string, publish: (message: ReplicaMessage) => void): OwnBookings {
  const open = new Map<number, Open>();
  let last = 0;

  function booked(id: number, { booking, request }: Open): ReplicaMessage {
    const { worker, epoch, rank, cachedTokens } = booking;
    return { type: "booked", router, booking: id, chosen: { worker, epoch, rank, cachedTokens }, request };
  }

  return {
    get open() {
      return open.size;
    },
    get oldest() {
      // A map keeps the order in which bookings were made.
      return open.keys().next().value ?? last + 1;
    },
    tell(booking, { request }) {
      const id = ++last;
      let published = 0;
      const { names, promptTokens, phase, expectedOutputTokens } = request;
      const entry: Open = {
        booking,
        request: {
          names,
          promptTokens,
          ...(phase === undefined ? {} : { phase }),
          ...(expectedOutputTokens === undefined ? {} : { expectedOutputTokens }),
        },
      };
      open.set(id, entry);
      publish(booked(id, entry));
      return {
        ...booking,
        prefilled(report) {
          booking.prefilled(report);
          if (open.has(id)) publish({ type: "prefilled", router, booking: id });
        },
        progress(outputTokens) {
          booking.progress(outputTokens);
          if (!open.has(id) || outputTokens - published < PROGRESS_TOKENS) return;
          published = outputTokens;
          publish({ type: "progress", router, booking: id, outputTokens });
        },
        free() {
          booking.free();
          if (open.delete(id)) publish({ type: "freed", router, booking: id });
        },
      };
    },
    retell(to) {
      for (const [id, entry] of open) publish({ ...booked(id, entry), to });
    },
  };
}
