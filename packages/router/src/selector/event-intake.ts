import type { KvEvent, KvEventBatch, KvTier, Worker } from "@stator/core";
import { TIER_DEVICE, TIER_DISK, TIER_HOST, type PrefixIndex } from "../index/prefix-index.ts";
import type { ObserveResult } from "./selector.ts";
import type { WorkerSeries } from "./selector-metrics.ts";
import type { TargetState } from "./target-state.ts";

/** A worker's place in its event stream. */
export interface EventStream {
  readonly worker: Worker;
  readonly ranks: readonly TargetState[];
  /** KV group that proves prefixes. */
  readonly group: number;
  /** Sequence number that must come next; undefined before the first batch. */
  next: bigint | undefined;
  readonly series: WorkerSeries;
}

const tierBits: Readonly<Record<Exclude<KvTier, "shared">, number>> = {
  device: TIER_DEVICE,
  host: TIER_HOST,
  disk: TIER_DISK,
};

/**
 * Applies one batch in order: duplicates are ignored, a gap is refused so that the caller can repair it, a snapshot
 * replaces all that was known. A stream may begin at 1; later, it must begin with a snapshot.
 */
export function applyBatch(index: PrefixIndex, stream: EventStream, batch: KvEventBatch): ObserveResult {
  if (batch.isSnapshot === true) {
    if (stream.next !== undefined && batch.sequence + 1n < stream.next) return "duplicate";
    if (batch.sequence + 1n === stream.next && isComparable(index)) {
      if (isEqual(index, stream, batch)) return "duplicate";
      stream.series.mismatched();
    }
    for (const target of stream.ranks) index.clear(target.number);
  } else {
    const next = stream.next ?? 1n;
    if (batch.sequence < next) return "duplicate";
    if (batch.sequence > next) return "gap";
  }
  for (const event of batch.events) {
    const target = stream.ranks[event.rank];
    if (target === undefined) continue;
    target.hasEvents = true;
    if (event.type === "cleared") {
      index.clear(target.number);
      continue;
    }
    if ((event.group ?? 0) !== stream.group) continue;
    if (event.type === "stored") {
      const blocks = {
        names: event.sequenceHashes,
        keys: event.engineKeys,
        parentName: event.parent,
        parentKey: event.engineParent,
      };
      if (event.tier === "shared") index.storeShared(blocks);
      else index.store(target.number, blocks, tierBits[event.tier]);
    } else if (event.tier === "shared") index.removeShared(event.sequenceHashes);
    else index.remove(target.number, event.sequenceHashes, event.engineKeys, tierBits[event.tier]);
  }
  stream.next = batch.sequence + 1n;
  return "applied";
}

/** An index that had to give something up differs from its workers without a fault. */
function isComparable(index: PrefixIndex): boolean {
  const { evicted, refused } = index.stats();
  return evicted + refused === 0;
}

/** Whether the index holds of a worker just what a snapshot says, by number and digest of blocks on each rank. */
function isEqual(index: PrefixIndex, stream: EventStream, { events }: KvEventBatch): boolean {
  return stream.ranks.every((target) => {
    // A block in two tiers is told twice and held once.
    const seen = new Set<bigint>();
    let xor = 0n;
    for (const event of events) {
      if (event.type !== "stored" || event.rank !== target.rank || event.tier === "shared") continue;
      if ((event.group ?? 0) !== stream.group) continue;
      event.sequenceHashes.forEach((name, i) => {
        const key = event.engineKeys?.[i] ?? name;
        if (seen.has(key)) return;
        seen.add(key);
        xor ^= name;
      });
    }
    const held = index.digest(target.number);
    return held.blocks === seen.size && held.xor === xor;
  });
}

const tierOrder = [
  [TIER_DEVICE, "device"],
  [TIER_HOST, "host"],
  [TIER_DISK, "disk"],
] as const;

/** What the index knows of a worker, as a batch that replaces it elsewhere. Shared storage is not a worker's own. */
export function snapshotOf(index: PrefixIndex, stream: EventStream): KvEventBatch | undefined {
  if (stream.next === undefined) return undefined;
  const events: KvEvent[] = [];
  for (const target of stream.ranks) {
    for (const { names, keys, parentName, parentKey, tiers } of index.dump(target.number)) {
      for (const [bit, tier] of tierOrder) {
        if ((tiers & bit) === 0) continue;
        events.push({
          type: "stored",
          sequenceHashes: names,
          ...(keys === undefined ? {} : { engineKeys: keys }),
          ...(parentName === undefined ? {} : { parent: parentName }),
          ...(parentKey === undefined ? {} : { engineParent: parentKey }),
          tier,
          rank: target.rank,
          group: stream.group,
        });
      }
    }
  }
  const { id, epoch } = stream.worker;
  return { worker: id, epoch, sequence: stream.next - 1n, events, isSnapshot: true };
}
