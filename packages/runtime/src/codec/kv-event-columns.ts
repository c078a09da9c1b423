import type { KvEventColumns } from "@stator/contracts";
import { KvTier } from "@stator/contracts";
import type { KvEvent, KvTier as Tier } from "@stator/core";
import { given, names, type Names } from "./names.ts";
import { bytesOfU32, bytesOfU64, u64OfBytes } from "./words.ts";

export const tiers: Names<Tier, KvTier> = names<Tier, KvTier>({
  device: KvTier.DEVICE,
  host: KvTier.HOST,
  disk: KvTier.DISK,
  shared: KvTier.SHARED,
});

const stored = 0;
const removed = 1;
const cleared = 2;
const hasParent = 4;
const hasGroup = 8;
const nothing = new Uint8Array(0);

/** Events as columns, or undefined when one of them has engine keys. */
export function eventsToColumns(events: readonly KvEvent[]): KvEventColumns | undefined {
  let blocks = 0;
  let parents = 0;
  let groups = 0;
  let hasRanks = false;
  let hasSingles = true;
  for (const event of events) {
    if (event.rank !== 0) hasRanks = true;
    if (event.type === "cleared") {
      hasSingles = false;
      continue;
    }
    if (event.engineKeys !== undefined) return undefined;
    const { length } = event.sequenceHashes;
    blocks += length;
    if (length !== 1) hasSingles = false;
    if (event.group !== undefined) groups += 1;
    if (event.type !== "stored") continue;
    if (event.engineParent !== undefined) return undefined;
    if (event.parent !== undefined) parents += 1;
  }
  const kinds = new Uint8Array(events.length);
  const counts = new Uint32Array(hasSingles ? 0 : events.length);
  const ranks = new Uint32Array(hasRanks ? events.length : 0);
  const groupColumn = new Uint32Array(groups);
  const parentColumn = new BigUint64Array(parents);
  const hashes = new BigUint64Array(blocks);
  let at = 0;
  let atGroup = 0;
  let atParent = 0;
  for (let i = 0; i < events.length; i++) {
    const event = events[i]!;
    if (hasRanks) ranks[i] = event.rank;
    if (event.type === "cleared") {
      kinds[i] = cleared;
      continue;
    }
    let kind = (event.type === "stored" ? stored : removed) + 16 * tiers.number(event.tier);
    if (event.group !== undefined) {
      kind += hasGroup;
      groupColumn[atGroup++] = event.group;
    }
    if (event.type === "stored" && event.parent !== undefined) {
      kind += hasParent;
      parentColumn[atParent++] = event.parent;
    }
    kinds[i] = kind;
    if (!hasSingles) counts[i] = event.sequenceHashes.length;
    hashes.set(event.sequenceHashes, at);
    at += event.sequenceHashes.length;
  }
  return {
    $typeName: "stator.v1.KvEventColumns",
    kinds,
    counts: hasSingles ? nothing : bytesOfU32(counts),
    ranks: hasRanks ? bytesOfU32(ranks) : nothing,
    groups: groups === 0 ? nothing : bytesOfU32(groupColumn),
    parents: parents === 0 ? nothing : bytesOfU64(parentColumn),
    sequenceHashes: bytesOfU64(hashes),
  };
}

/** Appends the events of columns to `events`. What is cut short is left out. */
export function eventsFromColumns(columns: KvEventColumns, events: KvEvent[]): void {
  const { kinds } = columns;
  const counts = viewOf(columns.counts);
  const ranks = viewOf(columns.ranks);
  const groups = viewOf(columns.groups);
  const parents = viewOf(columns.parents);
  const hashes = u64OfBytes(columns.sequenceHashes);
  let at = 0;
  let atGroup = 0;
  let atParent = 0;
  for (let i = 0; i < kinds.length; i++) {
    const kind = kinds[i]!;
    const rank = ranks.byteLength === 0 ? 0 : ranks.getUint32(i * 4, true);
    if ((kind & 3) === cleared) {
      events.push({ type: "cleared", rank });
      continue;
    }
    const count = counts.byteLength === 0 ? 1 : counts.getUint32(i * 4, true);
    const tier = tiers.word(kind >> 4, "device");
    const sequenceHashes = hashes.subarray(at, at + count);
    at += count;
    const group = (kind & hasGroup) === 0 ? undefined : groups.getUint32(4 * atGroup++, true);
    const parent = (kind & hasParent) === 0 ? undefined : parents.getBigUint64(8 * atParent++, true);
    if ((kind & 3) === removed)
      events.push({ type: "removed", sequenceHashes, tier, rank, ...given("group", group) });
    else
      events.push({
        type: "stored",
        sequenceHashes,
        tier,
        rank,
        ...given("group", group),
        ...given("parent", parent),
      });
  }
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
