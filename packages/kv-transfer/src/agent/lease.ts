import { randomBytes } from "node:crypto";
import type { Clock, Timer } from "@stator/core";

/** Why a lease ended. */
export type LeaseEnd = "released" | "expired" | "closed";

/** A promise to keep something for peers until it is released or not renewed in time. */
export interface Lease {
  /** 32 hex digits; unguessable, so naming it is the right to renew and release it. */
  readonly id: string;
  readonly durationMs: number;
  readonly isHeld: boolean;
  renew(): void;
  release(): void;
}

export interface LeaseBook {
  readonly held: number;
  readonly leases: readonly Lease[];
  grant(durationMs: number, onEnd: (end: LeaseEnd) => void): Lease;
  /** From peers: false where the lease is not known (any more). */
  renew(id: string): boolean;
  release(id: string): boolean;
  close(): void;
}

/** Leases that this agent granted. `onEnd` runs exactly once per lease. */
export function createLeaseBook(clock: Clock): LeaseBook {
  const leases = new Map<string, { lease: Lease; renew(): void; end(end: LeaseEnd): void }>();
  return {
    get held() {
      return leases.size;
    },
    get leases() {
      return [...leases.values()].map(({ lease }) => lease);
    },
    grant(durationMs, onEnd) {
      const id = randomBytes(16).toString("hex");
      let timer: Timer | undefined;
      let isHeld = true;
      const end = (why: LeaseEnd): void => {
        if (!isHeld) return;
        isHeld = false;
        timer?.cancel();
        leases.delete(id);
        onEnd(why);
      };
      const renew = (): void => {
        if (!isHeld) return;
        timer?.cancel();
        timer = clock.schedule(durationMs, () => end("expired"));
      };
      const lease: Lease = {
        id,
        durationMs,
        get isHeld() {
          return isHeld;
        },
        renew,
        release: () => end("released"),
      };
      leases.set(id, { lease, renew, end });
      renew();
      return lease;
    },
    renew(id) {
      const entry = leases.get(id);
      entry?.renew();
      return entry !== undefined;
    },
    release(id) {
      const entry = leases.get(id);
      entry?.end("released");
      return entry !== undefined;
    },
    close() {
      for (const entry of [...leases.values()]) entry.end("closed");
    },
  };
}
