import type { KvEvent, KvEventBatch, KvTier } from "@stator/core";

/** Memory that batches are packed into, in words of 64 bits; `halves` is the same memory in words of 32. */
export interface Slab {
  readonly words: BigUint64Array<ArrayBuffer>;
  readonly halves: Uint32Array<ArrayBuffer>;
}

export function createSlab(words: number): Slab {
  const buffer = new ArrayBuffer(8 * words);
  return { words: new BigUint64Array(buffer), halves: new Uint32Array(buffer) };
}

const kinds = ["stored", "removed", "cleared"] as const;
const tiers: readonly KvTier[] = ["device", "host", "disk", "shared"];
const hasParent = 4;
const hasEngineKeys = 8;
const hasEngineParent = 16;
const hasGroup = 32;
const headWords = 2;
/** Beside the number of events. */
const isSnapshotFlag = 0x8000_0000;

/** Words that a batch takes in a slab. */
export function packedWords({ events }: KvEventBatch): number {
  let words = headWords;
  for (const event of events) {
    words += 2;
    if (event.type === "cleared") continue;
    words += event.sequenceHashes.length + (event.engineKeys?.length ?? 0);
    if (event.type === "removed") continue;
    if (event.parent !== undefined) words += 1;
    if (event.engineParent !== undefined) words += 1;
  }
  return words;
}

/**
 * Writes a batch at word `at`: its length and number of events, its sequence number; for each event its kind with flags and
 * tier, its rank, its length and group, its parents, and its names. Worker and epoch are left out.
 */
export function packBatch({ words, halves }: Slab, at: number, batch: KvEventBatch): void {
  words[at + 1] = batch.sequence;
  let to = at + headWords;
  for (const event of batch.events) {
    const head = 2 * to;
    halves[head] = kinds.indexOf(event.type);
    halves[head + 1] = event.rank;
    halves[head + 2] = halves[head + 3] = 0;
    to += 2;
    if (event.type === "cleared") continue;
    const { sequenceHashes, engineKeys, group } = event;
    let flags = tiers.indexOf(event.tier) << 8;
    halves[head + 2] = sequenceHashes.length;
    if (group !== undefined) {
      flags |= hasGroup;
      halves[head + 3] = group;
    }
    if (event.type === "stored" && event.parent !== undefined) {
      flags |= hasParent;
      words[to++] = event.parent;
    }
    if (event.type === "stored" && event.engineParent !== undefined) {
      flags |= hasEngineParent;
      words[to++] = event.engineParent;
    }
    words.set(sequenceHashes, to);
    to += sequenceHashes.length;
    if (engineKeys !== undefined) {
      flags |= hasEngineKeys;
      words.set(engineKeys, to);
      to += engineKeys.length;
    }
    halves[head] = halves[head]! | flags;
  }
  halves[2 * at] = to - at;
  halves[2 * at + 1] = batch.events.length + (batch.isSnapshot === true ? isSnapshotFlag : 0);
}

/** Reads what `packBatch` wrote; `next` is the word behind it. */
export function unpackBatch(
  { words, halves }: Slab,
  at: number,
  own: Pick<KvEventBatch, "worker" | "epoch">,
): { readonly batch: KvEventBatch; readonly next: number } {
  const events: KvEvent[] = [];
  const isSnapshot = halves[2 * at + 1]! >= isSnapshotFlag;
  let from = at + headWords;
  for (let left = halves[2 * at + 1]! - (isSnapshot ? isSnapshotFlag : 0); left > 0; left--) {
    const flags = halves[2 * from]!;
    const rank = halves[2 * from + 1]!;
    const count = halves[2 * from + 2]!;
    const group = halves[2 * from + 3]!;
    from += 2;
    const type = kinds[flags & 3]!;
    if (type === "cleared") {
      events.push({ type, rank });
      continue;
    }
    const parent = (flags & hasParent) === 0 ? undefined : words[from++]!;
    const engineParent = (flags & hasEngineParent) === 0 ? undefined : words[from++]!;
    const sequenceHashes = words.slice(from, (from += count));
    const common = {
      sequenceHashes,
      ...((flags & hasEngineKeys) === 0 ? {} : { engineKeys: words.slice(from, (from += count)) }),
      tier: tiers[flags >> 8]!,
      rank,
      ...((flags & hasGroup) === 0 ? {} : { group }),
    };
    if (type === "removed") events.push({ type, ...common });
    else
      events.push({
        type,
        ...common,
        ...(parent === undefined ? {} : { parent }),
        ...(engineParent === undefined ? {} : { engineParent }),
      });
  }
  return {
    batch: { ...own, sequence: words[at + 1]!, events, ...(isSnapshot ? { isSnapshot } : {}) },
    next: at + halves[2 * at]!,
  };
}
