import type { TransferAgent } from "../agent/transfer-agent.ts";
import type { LeaseEnd } from "../agent/lease.ts";
import { transferError } from "../transfer-error.ts";
import { blockChecksum, encodeEnvelope, type EnvelopeBlock } from "./handoff-envelope.ts";

export interface HandoffSourceOptions {
  readonly agent: TransferAgent;
  /**
   * `reference`: blocks stay where they are and must not change until the lease ends. `shared`: they are copied into memory that other
   * processes of this host map, where the agent's transports have such. Default `reference`.
   */
  readonly staging?: "reference" | "shared";
}

export interface OfferedBlock {
  /** SHA-256 reuse key, 32 bytes. */
  readonly key: Uint8Array;
  readonly bytes: Uint8Array;
}

export interface OfferOptions {
  readonly blocks: readonly OfferedBlock[];
  /** Blocks are let go after this long without a renewal, ms. */
  readonly leaseMs: number;
}

/** Blocks held for a peer. */
export interface HandoffOffer {
  readonly opaque: Uint8Array;
  readonly leaseId: string;
  /** How the lease ended, once it has. */
  readonly ended: Promise<LeaseEnd>;
  renew(): void;
  /** Idempotent. */
  release(): void;
}

export interface HandoffSource {
  offer(options: OfferOptions): Promise<HandoffOffer>;
}

/**
 * Offers KV blocks to whoever gets the `opaque` bytes. When the lease ends, by release or silence, the region goes and a reader that is
 * in the middle of it fails instead of getting other bytes.
 */
export function createHandoffSource({ agent, staging = "reference" }: HandoffSourceOptions): HandoffSource {
  return {
    async offer({ blocks, leaseMs }) {
      const entries: EnvelopeBlock[] = [];
      let at = 0;
      for (const [index, { key, bytes }] of blocks.entries()) {
        if (key.length !== 32 || bytes.length === 0)
          throw transferError(
            "TRANSFER_OPTION_INVALID",
            `Block ${index}: a key has 32 bytes (this one ${key.length}) and a block at least one (${bytes.length}).`,
            { index },
          );
        entries.push({ key, offset: at, bytes: bytes.length, checksum: blockChecksum(bytes) });
        at += bytes.length;
      }
      let region: Awaited<ReturnType<TransferAgent["allocate"]>> | undefined;
      if (at > 0) {
        // One epoch for the whole offer: it is let go as a whole.
        if (staging === "shared") {
          region = await agent.allocate({ bytes: at, blockBytes: at });
          for (const [index, entry] of entries.entries())
            region.write(entry.offset, (blocks[index] as OfferedBlock).bytes);
        } else {
          region = agent.register(
            blocks.map((block) => block.bytes),
            { blockBytes: at },
          );
        }
      }
      let end: ((why: LeaseEnd) => void) | undefined;
      const ended = new Promise<LeaseEnd>((resolve) => {
        end = resolve;
      });
      const lease = agent.lease(leaseMs, (why) => {
        void (region?.deregister() ?? Promise.resolve()).then(() => end?.(why));
      });
      const opaque = encodeEnvelope({
        leaseId: lease.id,
        leaseMs,
        metadata: agent.exportMetadata({ regions: region === undefined ? [] : [region] }),
        region: region?.id ?? 0,
        epoch: region?.epochs?.get(0) ?? 0n,
        blocks: entries,
      });
      return { opaque, leaseId: lease.id, ended, renew: () => lease.renew(), release: () => lease.release() };
    },
  };
}
