import { KvTier as WireTier, type KvEventColumns } from "@stator/contracts";
import type { KvEvent, KvTier } from "@stator/core";
import { namesOfBytes } from "./names-on-wire.ts";

const REMOVED = 1;
const CLEARED = 2;
const HAS_PARENT = 4;
const HAS_GROUP = 8;

/** Events from their columns, as `KvEventColumns` describes them. What is cut short is left out. */
export function eventsOfColumns(
  columns: KvEventColumns,
  tierOf: (tier: WireTier) => KvTier | undefined,
): KvEvent[] {
  const [counts, ranks, groups, parents] = [
    columns.counts,
    columns.ranks,
    columns.groups,
    columns.parents,
  ].map(viewOf) as [DataView, DataView, DataView, DataView];
  const names = namesOfBytes(columns.sequenceHashes);
  const events: KvEvent[] = [];
  let [at, atGroup, atParent] = [0, 0, 0];
  columns.kinds.forEach((kind, i) => {
    const rank = ranks.byteLength === 0 ? 0 : ranks.getUint32(i * 4, true);
    if ((kind & 3) === CLEARED) {
      events.push({ type: "cleared", rank });
      return;
    }
    const count = counts.byteLength === 0 ? 1 : counts.getUint32(i * 4, true);
    const sequenceHashes = names.subarray(at, at + count);
    at += count;
    const group = (kind & HAS_GROUP) === 0 ? undefined : groups.getUint32(4 * atGroup++, true);
    const parent = (kind & HAS_PARENT) === 0 ? undefined : parents.getBigUint64(8 * atParent++, true);
    const tier = tierOf((kind >> 4) as WireTier);
    if (tier === undefined) return;
    const common = { sequenceHashes, tier, rank, ...(group === undefined ? {} : { group }) };
    if ((kind & 3) === REMOVED) events.push({ type: "removed", ...common });
    else events.push({ type: "stored", ...common, ...(parent === undefined ? {} : { parent }) });
  });
  return events;
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
