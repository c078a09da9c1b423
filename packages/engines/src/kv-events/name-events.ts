import { nameBlocks, type KvEvent, type KvTier } from "@stator/core";
import type { EngineEvent, EngineMoved, EngineRemoved, EngineStored } from "./engine-event.ts";

export interface EventNamerOptions {
  /** Of the card; events of another block size cannot be named. */
  readonly blockTokens: number;
  /** Called once per cause: why events are left out. */
  readonly onSkipped?: (reason: string) => void;
}

/**
 * Turns an engine's events into ours: blocks are named anew from their token ids and their parent, removals by a map from
 * the engine's keys, which live as long as the blocks do. What cannot be named is left out, and so are its children: too
 * little is promised then, never too much.
 */
export interface EventNamer {
  apply(rank: number, events: readonly EngineEvent[]): KvEvent[];
  /** Forgets a rank, or all: after lost events or a restart of the engine. */
  clear(rank?: number): KvEvent[];
  /** Everything held, parents before children. */
  snapshot(): KvEvent[];
  /** Blocks held. */
  readonly blocks: number;
}

interface Block {
  readonly name: bigint;
  readonly parent: bigint | undefined;
  readonly adapter: string | undefined;
  readonly salt: string | undefined;
  readonly tiers: Set<KvTier>;
}

export function createEventNamer({ blockTokens, onSkipped }: EventNamerOptions): EventNamer {
  const ranks = new Map<number, Map<bigint, Block>>();
  const told = new Set<string>();
  /** The one KV group whose blocks prove a prefix. */
  let group: number | undefined;

  const skip = (reason: string): undefined => {
    if (!told.has(reason)) onSkipped?.(reason);
    told.add(reason);
    return undefined;
  };
  const blocksOf = (rank: number): Map<bigint, Block> => {
    let blocks = ranks.get(rank);
    if (blocks === undefined) ranks.set(rank, (blocks = new Map()));
    return blocks;
  };

  const stored = (rank: number, event: EngineStored): KvEvent | undefined => {
    if (event.groupKind !== undefined && !/full|mla/i.test(event.groupKind)) return undefined;
    group ??= event.group;
    if (event.group !== group) return undefined;
    if (event.blockTokens !== blockTokens)
      return skip(`its blocks have ${event.blockTokens} tokens, not ${blockTokens} as its card says`);
    if (event.tokenIds.length !== event.keys.length * blockTokens)
      return skip("an event has another number of tokens than its blocks hold");
    if (event.isUnnameable) return skip("blocks with media or prompt embeddings are not named");
    const blocks = blocksOf(rank);
    const parent = event.parent === undefined ? undefined : blocks.get(event.parent);
    if (event.parent !== undefined && parent === undefined)
      return skip("blocks whose parent is not known are left out");
    const adapter = event.adapter ?? parent?.adapter;
    const salt = event.salt ?? parent?.salt;
    const names = nameBlocks(event.tokenIds, {
      blockTokens,
      ...(adapter === undefined ? {} : { adapter }),
      ...(salt === undefined ? {} : { salt }),
      ...(parent === undefined ? {} : { parent: parent.name }),
    });
    let previous = parent?.name;
    for (const [i, key] of event.keys.entries()) {
      const known = blocks.get(key);
      if (known?.name === names[i]) known!.tiers.add(event.tier);
      else
        blocks.set(key, { name: names[i]!, parent: previous, adapter, salt, tiers: new Set([event.tier]) });
      previous = names[i];
    }
    return {
      type: "stored",
      sequenceHashes: BigUint64Array.from(names),
      ...(parent === undefined ? {} : { parent: parent.name }),
      tier: event.tier,
      rank,
    };
  };

  const removed = (rank: number, event: EngineRemoved): KvEvent | undefined => {
    if (group !== undefined && event.group !== group) return undefined;
    const blocks = blocksOf(rank);
    const names: bigint[] = [];
    for (const key of event.keys) {
      const block = blocks.get(key);
      if (block?.tiers.delete(event.tier) !== true) continue;
      names.push(block.name);
      if (block.tiers.size === 0) blocks.delete(key);
    }
    if (names.length === 0) return undefined;
    return { type: "removed", sequenceHashes: BigUint64Array.from(names), tier: event.tier, rank };
  };

  const moved = (rank: number, { key, from, to }: EngineMoved): readonly KvEvent[] => {
    const block = blocksOf(rank).get(key);
    if (block?.tiers.delete(from) !== true) return [];
    block.tiers.add(to);
    const sequenceHashes = BigUint64Array.of(block.name);
    const parent = block.parent === undefined ? {} : { parent: block.parent };
    return [
      { type: "stored", sequenceHashes, ...parent, tier: to, rank },
      { type: "removed", sequenceHashes, tier: from, rank },
    ];
  };

  return {
    apply(rank, events) {
      return events.flatMap((event): readonly KvEvent[] => {
        switch (event.type) {
          case "stored":
            return list(stored(rank, event));
          case "removed":
            return list(removed(rank, event));
          case "moved":
            return moved(rank, event);
          case "cleared":
            blocksOf(rank).clear();
            return [{ type: "cleared", rank }];
        }
      });
    },
    clear(rank) {
      const cleared = rank === undefined ? [...ranks.keys()] : [rank];
      for (const each of cleared) blocksOf(each).clear();
      return cleared.map((each) => ({ type: "cleared", rank: each }));
    },
    snapshot() {
      const events: KvEvent[] = [];
      for (const [rank, blocks] of ranks) {
        for (const tier of ["device", "host", "disk", "shared"] as const) {
          let run: bigint[] = [];
          let parent: bigint | undefined;
          const flush = (): void => {
            if (run.length > 0)
              events.push({
                type: "stored",
                sequenceHashes: BigUint64Array.from(run),
                ...(parent === undefined ? {} : { parent }),
                tier,
                rank,
              });
            run = [];
          };
          for (const block of blocks.values()) {
            if (!block.tiers.has(tier)) continue;
            if (run.length === 0 || block.parent !== run.at(-1)) {
              flush();
              parent = block.parent;
            }
            run.push(block.name);
          }
          flush();
        }
      }
      return events;
    },
    get blocks() {
      let count = 0;
      for (const blocks of ranks.values()) count += blocks.size;
      return count;
    },
  };
}

const list = (event: KvEvent | undefined): readonly KvEvent[] => (event === undefined ? [] : [event]);
