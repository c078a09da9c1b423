import type { Clock, Handoff, ModelCard, Timer } from "@stator/core";

import type { HandoffOffer, HandoffSource, OfferedBlock } from "./transfer.ts";

/** The sequential connector of our own engines: KV blocks by SHA-256 reuse key through `@stator/kv-transfer`. */
export const blockConnector: string = "stator-blocks";

export interface OfferBookOptions {
  readonly source: HandoffSource;
  readonly leaseMs: number;
  readonly clock: Clock;
}

interface HandoffContent {
  readonly card: ModelCard;
  readonly blocks: readonly OfferedBlock[];
  readonly firstIds: readonly number[];
}

/** What a prefill engine has on offer: makes handoffs and finds them again for renewal and release. */
export interface OfferBook {
  handoff(content: HandoffContent): Promise<Handoff>;
  renew(handoff: Handoff): void;
  release(handoff: Handoff): void;
  releaseAll(): void;
}

interface Entry {
  readonly offer: HandoffOffer;
  timer: Timer;
}

export function createOfferBook({ source, leaseMs, clock }: OfferBookOptions): OfferBook {
  const entries = new Map<string, Entry>();

  // The source ends leases by itself; the timer only forgets the entry.
  const forgetLater = (leaseId: string): Timer => clock.schedule(leaseMs, () => entries.delete(leaseId));
  const close = (leaseId: string, { offer, timer }: Entry): void => {
    timer.cancel();
    entries.delete(leaseId);
    offer.release();
  };

  return {
    async handoff({ card, blocks, firstIds }) {
      const offer = await source.offer({ blocks, leaseMs });
      entries.set(offer.leaseId, { offer, timer: forgetLater(offer.leaseId) });
      return {
        connector: blockConnector,
        style: "sequential",
        opaque: offer.opaque,
        heldTokens: blocks.length * card.blockTokens,
        firstIds,
        firstEmittedBy: "prefill",
        compatibilityDigest: card.kvLayoutDigest,
        lease: { id: offer.leaseId, durationMs: leaseMs },
      };
    },
    renew({ lease }) {
      const entry = lease === undefined ? undefined : entries.get(lease.id);
      if (lease === undefined || entry === undefined) return;
      entry.timer.cancel();
      entry.timer = forgetLater(lease.id);
      entry.offer.renew();
    },
    release({ lease }) {
      const entry = lease === undefined ? undefined : entries.get(lease.id);
      if (lease !== undefined && entry !== undefined) close(lease.id, entry);
    },
    releaseAll() {
      for (const [leaseId, entry] of entries) close(leaseId, entry);
    },
  };
}
