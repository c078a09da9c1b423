import type { Clock } from "@stator/core";
import { systemClock } from "@stator/core";
import { describe, type Piece } from "../agent/descriptors.ts";
import type { PathRequirement, Peer, TransferAgent } from "../agent/transfer-agent.ts";
import { transferError } from "../transfer-error.ts";
import {
  blockChecksum,
  decodeEnvelope,
  type EnvelopeBlock,
  type HandoffEnvelope,
} from "./handoff-envelope.ts";

export interface HandoffSinkOptions {
  readonly agent: TransferAgent;
  /** Ways that are good enough for KV; default: any. */
  readonly require?: PathRequirement;
  readonly clock?: Clock;
}

export interface FetchOptions {
  /** Whether this side needs the block; asked once per block, in order. */
  lacks(index: number, key: Uint8Array): boolean;
  readonly signal: AbortSignal;
}

export interface HandoffSink {
  /**
   * The lacked blocks in the handoff's order, `undefined` where nothing was lacked. All or nothing: every byte is checked before any is
   * handed out. The source's lease is renewed while it runs and released at its end, whatever the end.
   *
   * @throws TransferError TRANSFER_LEASE_GONE when the source let go, TRANSFER_CHECKSUM, TRANSFER_PEER_LOST, TRANSFER_CANCELLED, TRANSFER_DEADLINE, …
   */
  fetch(opaque: Uint8Array, options: FetchOptions): Promise<readonly (Uint8Array | undefined)[]>;
}

/** Fetches KV blocks that a source offered. */
export function createHandoffSink({ agent, require, clock = systemClock }: HandoffSinkOptions): HandoffSink {
  return {
    async fetch(opaque, { lacks, signal }) {
      const envelope = decodeEnvelope(opaque);
      const peer = agent.importMetadata(envelope.metadata);
      const renewal = renewing(peer, envelope, clock);
      try {
        if (signal.aborted)
          throw transferError(
            "TRANSFER_CANCELLED",
            "The handoff was cancelled before it began.",
            undefined,
            signal.reason,
          );
        const wanted = envelope.blocks.map((block, index) => (lacks(index, block.key) ? block : undefined));
        return await read(wanted, envelope, peer, signal);
      } finally {
        renewal.stop();
        peer.forget([envelope.region]);
        // The answer does not wait for it, and silence frees the blocks too.
        peer.releaseLease(envelope.leaseId).catch(() => undefined);
      }
    },
  };

  async function read(
    wanted: readonly (EnvelopeBlock | undefined)[],
    envelope: HandoffEnvelope,
    peer: Peer,
    signal: AbortSignal,
  ): Promise<readonly (Uint8Array | undefined)[]> {
    const pieces: Piece[] = [];
    let total = 0;
    for (const block of wanted) {
      if (block === undefined) continue;
      pieces.push({ offset: block.offset, bytes: block.bytes });
      total += block.bytes;
    }
    if (pieces.length === 0) return wanted.map(() => undefined);
    const slab = new Uint8Array(total);
    const region = agent.register(slab);
    try {
      const remote = peer.region(envelope.region);
      await agent.transfer({
        operation: "read",
        peer,
        local: describe(region, toLocal(pieces)),
        remote: describe(remote, pieces),
        epochs: [
          { region: remote.id, blocks: Uint32Array.of(0), expected: BigUint64Array.of(envelope.epoch) },
        ],
        signal,
        ...(require === undefined ? {} : { require }),
      });
    } catch (error) {
      const code = (error as { code?: string }).code;
      if (code === "TRANSFER_REGION_GONE" || code === "TRANSFER_STALE_EPOCH")
        throw transferError(
          "TRANSFER_LEASE_GONE",
          `Source ${peer.name} no longer holds these blocks: the lease ended. Prefill again.`,
          { peer: peer.name, leaseId: envelope.leaseId },
          error,
        );
      throw error;
    } finally {
      await region.deregister();
    }
    let at = 0;
    return wanted.map((block, index) => {
      if (block === undefined) return undefined;
      const bytes = slab.subarray(at, at + block.bytes);
      at += block.bytes;
      if (blockChecksum(bytes) !== block.checksum)
        throw transferError(
          "TRANSFER_CHECKSUM",
          `Block ${index} from ${peer.name} arrived with a wrong checksum; none of the handoff is used.`,
          { index, peer: peer.name },
        );
      return bytes;
    });
  }
}

function toLocal(pieces: readonly Piece[]): Piece[] {
  let at = 0;
  return pieces.map(({ bytes }) => {
    at += bytes;
    return { offset: at - bytes, bytes };
  });
}

function renewing(peer: Peer, envelope: HandoffEnvelope, clock: Clock): { stop(): void } {
  let isStopped = false;
  let timer = clock.schedule(envelope.leaseMs / 3, function renew() {
    if (isStopped) return;
    peer.renewLease(envelope.leaseId).catch(() => undefined);
    timer = clock.schedule(envelope.leaseMs / 3, renew);
  });
  return {
    stop() {
      isStopped = true;
      timer.cancel();
    },
  };
}
