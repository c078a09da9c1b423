import type { KvEvent, KvEventBatch, KvTier } from "@stator/core";
import { create } from "@bufbuild/protobuf";
import {
  KvEventBatchSchema,
  KvTier as WireTier,
  type KvEventBatch as KvEventBatchMessage,
} from "@stator/contracts";
import type { BatchPart } from "../replicas/batch-parts.ts";
import { eventsOfColumns } from "./events-of-columns.ts";
import { bytesOfNames, namesOfBytes } from "./names-on-wire.ts";

const tiers: ReadonlyMap<WireTier, KvTier> = new Map<WireTier, KvTier>([
  [WireTier.DEVICE, "device"],
  [WireTier.HOST, "host"],
  [WireTier.DISK, "disk"],
  [WireTier.SHARED, "shared"],
]);

/** A batch of KV events from its message. Events of unknown kind or tier are left out. */
export function kvBatchOfMessage(message: KvEventBatchMessage): KvEventBatch {
  const events: KvEvent[] =
    message.columns === undefined ? [] : eventsOfColumns(message.columns, (tier) => tiers.get(tier));
  for (const { event } of message.events) {
    if (event.case === "cleared") events.push({ type: "cleared", rank: event.value.rank });
    else if (event.case === "stored" || event.case === "removed") {
      const { value } = event;
      const tier = tiers.get(value.tier);
      if (tier === undefined) continue;
      const common = {
        sequenceHashes: namesOfBytes(value.sequenceHashes),
        ...(value.engineKeys.length === 0 ? {} : { engineKeys: namesOfBytes(value.engineKeys) }),
        tier,
        rank: value.rank,
        ...(value.group === undefined ? {} : { group: value.group }),
      };
      if (event.case === "removed") events.push({ type: "removed", ...common });
      else {
        const { parent, engineParent } = event.value;
        events.push({
          type: "stored",
          ...common,
          ...(parent === undefined ? {} : { parent }),
          ...(engineParent === undefined ? {} : { engineParent }),
        });
      }
    }
  }
  const { worker, epoch, sequence, snapshot } = message;
  return { worker, epoch, sequence, events, ...(snapshot ? { isSnapshot: true } : {}) };
}

const wireTiers: Readonly<Record<KvTier, WireTier>> = {
  device: WireTier.DEVICE,
  host: WireTier.HOST,
  disk: WireTier.DISK,
  shared: WireTier.SHARED,
};

/** The message of a batch, or of a part of one. */
export function messageOfKvBatch({ batch, part, isPartial }: BatchPart): KvEventBatchMessage {
  return create(KvEventBatchSchema, {
    worker: batch.worker,
    epoch: batch.epoch,
    sequence: batch.sequence,
    snapshot: batch.isSnapshot === true,
    part,
    partial: isPartial,
    events: batch.events.map((event) => {
      if (event.type === "cleared")
        return { event: { case: "cleared" as const, value: { rank: event.rank } } };
      const common = {
        sequenceHashes: bytesOfNames(event.sequenceHashes),
        ...(event.engineKeys === undefined ? {} : { engineKeys: bytesOfNames(event.engineKeys) }),
        tier: wireTiers[event.tier],
        rank: event.rank,
        ...(event.group === undefined ? {} : { group: event.group }),
      };
      if (event.type === "removed") return { event: { case: "removed" as const, value: common } };
      const { parent, engineParent } = event;
      return {
        event: {
          case: "stored" as const,
          value: {
            ...common,
            ...(parent === undefined ? {} : { parent }),
            ...(engineParent === undefined ? {} : { engineParent }),
          },
        },
      };
    }),
  });
}
