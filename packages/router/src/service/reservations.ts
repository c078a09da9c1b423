import type { Booking } from "../selector/selector.ts";
import type { NowClock } from "../selector/options.ts";

/** Bookings on behalf of callers in other processes: each lives while its caller shows life. */
export interface Reservations {
  add(booking: Booking, leaseMs: number): string;
  /** Renews the lease; undefined when it has passed. */
  renew(id: string): Booking | undefined;
  release(id: string): void;
  /** Frees what nobody renewed. Called with every other method; call it when idle too. */
  sweep(): void;
  readonly size: number;
}

interface Reserved {
  readonly booking: Booking;
  readonly leaseMs: number;
  endsMs: number;
}

export function createReservations(clock: NowClock): Reservations {
  const reserved = new Map<string, Reserved>();
  let next = 0;
  const reservations: Reservations = {
    get size() {
      return reserved.size;
    },
    add(booking, leaseMs) {
      reservations.sweep();
      const id = `${booking.worker}/${booking.rank}/${++next}`;
      reserved.set(id, { booking, leaseMs, endsMs: clock.now() + leaseMs });
      return id;
    },
    renew(id) {
      reservations.sweep();
      const entry = reserved.get(id);
      if (entry !== undefined) entry.endsMs = clock.now() + entry.leaseMs;
      return entry?.booking;
    },
    release(id) {
      reserved.get(id)?.booking.free();
      reserved.delete(id);
      reservations.sweep();
    },
    sweep() {
      const nowMs = clock.now();
      for (const [id, entry] of reserved) {
        if (entry.endsMs > nowMs) continue;
        entry.booking.free();
        reserved.delete(id);
      }
    },
  };
  return reservations;
}
