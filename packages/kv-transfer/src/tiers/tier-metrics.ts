import type { Counter, Histogram, KvTier, Meter } from "@stator/core";

/** What a store measures of one tier. */
export interface TierMetrics {
  readonly stored: Counter;
  readonly removed: Counter;
  readonly hits: Counter;
  readonly hitBytes: Counter;
  readonly damaged: Counter;
  readonly dropped: Counter;
  readonly readSeconds: Histogram;
  /** Blocks and bytes in it now. */
  holds(blocks: number, bytes: number): void;
}

const readBuckets = [0.000_01, 0.000_1, 0.000_3, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1];

/** Series by tier. */
export function tierMetrics(meter: Meter): (tier: KvTier) => TierMetrics {
  const labels = ["tier"] as const;
  const counter = (name: string, help: string, unit?: string) =>
    meter.counter({ name, help, labels, ...(unit === undefined ? {} : { unit }) });
  const stored = counter("kv_tier_stored_blocks", "KV blocks that came to a tier.");
  const removed = counter("kv_tier_removed_blocks", "KV blocks that left a tier.");
  const hits = counter("kv_tier_hit_blocks", "KV blocks read from a tier in place of prefilling them.");
  const hitBytes = counter("kv_tier_hit", "Bytes of the KV blocks read from a tier.", "bytes");
  const damaged = counter(
    "kv_tier_damaged_blocks",
    "KV blocks that were unreadable or failed their checksum.",
  );
  const dropped = counter(
    "kv_tier_dropped_blocks",
    "KV blocks not kept: the write queue or the tier was full.",
  );
  const readSeconds = meter.histogram({
    name: "kv_tier_read",
    unit: "seconds",
    help: "Time to read one KV block.",
    labels,
    buckets: readBuckets,
  });
  const blocks = meter.gauge({ name: "kv_tier_blocks", help: "KV blocks in a tier.", labels });
  const bytes = meter.gauge({
    name: "kv_tier_used",
    unit: "bytes",
    help: "Bytes of the KV blocks in a tier.",
    labels,
  });
  return (tier) => {
    const of = { tier };
    const [held, used] = [blocks.labels(of), bytes.labels(of)];
    return {
      stored: stored.labels(of),
      removed: removed.labels(of),
      hits: hits.labels(of),
      hitBytes: hitBytes.labels(of),
      damaged: damaged.labels(of),
      dropped: dropped.labels(of),
      readSeconds: readSeconds.labels(of),
      holds(count, size) {
        held.set(count);
        used.set(size);
      },
    };
  };
}
