import type { KvEvent, KvEventBatch, KvTier } from "@stator/core";
import { KvTier as WireTier, type KvEventBatch as KvEventBatchMessage } from "@stator/contracts";

const tiers = new Map<WireTier, KvTier>([
  [WireTier.DEVICE, "device"],
  [WireTier.HOST, "host"],
  [WireTier.DISK, "disk"],
  [WireTier.SHARED, "shared"],
]);

/** Names as they travel: u64 little endian each. A copy, because wire bytes are rarely aligned. */
export function namesOfBytes(bytes: Uint8Array): BigUint64Array {
  return new BigUint64Array(bytes.slice(0, bytes.length & ~7).buffer);
}

export function bytesOfNames(names: BigUint64Array): Uint8Array<ArrayBuffer> {
  return new Uint8Array(names.slice().buffer);
}

/** A batch of KV events from its message. Events of unknown kind or tier are left out. */
export function kvBatchOfMessage(message: KvEventBatchMessage): KvEventBatch {
  const events: KvEvent[] = [];
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
