import assert from "node:assert/strict";
import type { Engine, KvEvent, KvEventBatch, KvTier } from "@stator/core";

/** The blocks that an engine's events say it holds. */
export interface HeldBlocks {
  /** `tier name` each. */
  readonly all: ReadonlySet<string>;
  /** In any tier. */
  has(name: bigint): boolean;
}

const tiers: readonly KvTier[] = ["device", "host", "disk", "shared"];

/** Follows an engine's events, whose batches must be numbered without gaps and remove only what they stored. */
export function heldBlocks(engine: Engine): HeldBlocks {
  const held = new Set<string>();
  let sequence: bigint | undefined;
  engine.onStatus?.(({ events = [] }) => {
    for (const batch of events) {
      if (sequence !== undefined)
        assert.equal(batch.sequence, sequence + 1n, "event batches are numbered without gaps");
      sequence = batch.sequence;
      for (const event of batch.events) apply(held, event);
    }
  });
  return { all: held, has: (name) => tiers.some((tier) => held.has(`${tier} ${name}`)) };
}

/** What a snapshot says, in the same words. */
export function heldBySnapshot(snapshot: KvEventBatch | undefined): ReadonlySet<string> {
  const held = new Set<string>();
  for (const event of snapshot?.events ?? []) apply(held, event);
  return held;
}

function apply(held: Set<string>, event: KvEvent): void {
  if (event.type === "cleared") {
    held.clear();
    return;
  }
  for (const name of event.sequenceHashes) {
    const block = `${event.tier} ${name}`;
    if (event.type === "stored") held.add(block);
    else assert.ok(held.delete(block), "only what was stored is removed");
  }
}
