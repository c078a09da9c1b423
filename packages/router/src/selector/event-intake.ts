import type { KvEvent, KvEventBatch, KvTier, Worker } from "@stator/core";
import { atOnce } from "../index/dump-target.ts";
import {
  TIER_DEVICE,
  TIER_DISK,
  TIER_HOST,
  type DumpedBlocks,
  type PrefixIndex,
} from "../index/prefix-index.ts";
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
  /** Snapshots that are being taken: each hears what is applied meanwhile. */
  readonly followers: Set<Followed>;
}

/** Events of a worker that were applied while a snapshot of it was taken. */
interface Followed {
  readonly events: KvEvent[];
  isOverfull: boolean;
}

/** More events than this during one snapshot, and it is taken anew without pausing. */
const MOST_FOLLOWED = 65_536;

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
  for (const followed of stream.followers) follow(followed, stream, batch);
  return "applied";
}

function follow(followed: Followed, { ranks }: EventStream, { events, isSnapshot }: KvEventBatch): void {
  if (followed.events.length + events.length > MOST_FOLLOWED) {
    followed.isOverfull = true;
    followed.events.length = 0;
  }
  if (followed.isOverfull) return;
  if (isSnapshot === true)
    followed.events.push(...ranks.map(({ rank }): KvEvent => ({ type: "cleared", rank })));
  for (const event of events) followed.events.push(event);
}

/** An index that had to give something up differs from its workers without a fault. */
function isComparable(index: PrefixIndex): boolean {
  const { evicted, refused } = index.stats();
  return evicted + refused === 0;
}

/** Whether the index holds of a worker just what a snapshot says, by number and digest of blocks on each rank. */
function isEqual(index: PrefixIndex, stream: EventStream, { events }: KvEventBatch): boolean {
  return stream.ranks.every((target) => {
    // A block in two tiers is told twice and held once. What changed while the snapshot was taken stands at its end.
    const held = new Map<bigint, { readonly name: bigint; tiers: number }>();
    for (const event of events) {
      if (event.rank !== target.rank) continue;
      if (event.type === "cleared") held.clear();
      if (event.type === "cleared" || event.tier === "shared" || (event.group ?? 0) !== stream.group)
        continue;
      const bit = tierBits[event.tier];
      event.sequenceHashes.forEach((name, i) => {
        const key = event.engineKeys?.[i] ?? name;
        const known = held.get(key);
        if (event.type === "stored") {
          if (known === undefined) held.set(key, { name, tiers: bit });
          else known.tiers |= bit;
        } else if (known !== undefined && (known.tiers &= ~bit) === 0) held.delete(key);
      });
    }
    let xor = 0n;
    for (const { name } of held.values()) xor ^= name;
    const { blocks, xor: heldXor } = index.digest(target.number);
    return blocks === held.size && heldXor === xor;
  });
}

const tierOrder = [
  [TIER_DEVICE, "device"],
  [TIER_HOST, "host"],
  [TIER_DISK, "disk"],
] as const;

/** What the index knows of a worker, as a batch that replaces it elsewhere. Shared storage is not a worker's own. */
export function snapshotOf(index: PrefixIndex, stream: EventStream): KvEventBatch | undefined {
  return atOnce(snapshotSteps(index, stream));
}

/** The same in steps, between which batches may be applied: those stand at its end. */
export function* snapshotSteps(
  index: PrefixIndex,
  stream: EventStream,
): Generator<void, KvEventBatch | undefined, void> {
  if (stream.next === undefined) return undefined;
  const followed: Followed = { events: [], isOverfull: false };
  stream.followers.add(followed);
  try {
    const events: KvEvent[] = [];
    for (const target of stream.ranks) {
      const chains = yield* index.dumpSteps(target.number);
      for (let i = 0; i < chains.length; i++) {
        eventsOfChain(chains[i]!, target.rank, stream.group, events);
        if (i % STEP_CHAINS === STEP_CHAINS - 1) yield;
      }
    }
    if (followed.isOverfull) return snapshotOf(index, stream);
    for (const event of followed.events) events.push(event);
    const { id, epoch } = stream.worker;
    return { worker: id, epoch, sequence: stream.next - 1n, events, isSnapshot: true };
  } finally {
    stream.followers.delete(followed);
  }
}

/** Chains that become events in one step. */
const STEP_CHAINS = 2048;

function eventsOfChain(
  { names, keys, parentName, parentKey, tiers }: DumpedBlocks,
  rank: number,
  group: number,
  events: KvEvent[],
): void {
  for (const [bit, tier] of tierOrder) {
    if ((tiers & bit) === 0) continue;
    events.push({
      type: "stored",
      sequenceHashes: names,
      ...(keys === undefined ? {} : { engineKeys: keys }),
      ...(parentName === undefined ? {} : { parent: parentName }),
      ...(parentKey === undefined ? {} : { engineParent: parentKey }),
      tier,
      rank,
      group,
    });
  }
}
