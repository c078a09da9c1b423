import type { LlamaContextSequence, Token } from "node-llama-cpp";
import type { KvEvent, Logger, ModelCard } from "@stator/core";

import { createBlockChain, type BlockChain } from "./block-chain.ts";
import { createBlockStore } from "./block-store.ts";
import { createKvPresence } from "./kv-presence.ts";
import { buildState, extractBlock, parseState, type KvLayout } from "./state-file.ts";
import type { StateFolder } from "./state-folder.ts";

/** One of the context's sequences: idle with the KV of its last request, or working. */
export interface Slot {
  readonly sequence: LlamaContextSequence;
  /** What an idle slot's KV is of; undefined when it is empty or working. */
  held: BlockChain | undefined;
  isBusy: boolean;
  /** Order of last use. */
  usedAt: number;
}

export interface KvCacheOptions {
  readonly sequences: readonly LlamaContextSequence[];
  readonly card: ModelCard;
  /** Undefined: KV is never reused, cut or moved. */
  readonly layout: KvLayout | undefined;
  readonly folder: StateFolder;
  readonly hostStoreBytes: number;
  readonly logger: Logger;
}

/** All KV of one engine: idle sequences, and blocks in host memory. */
export interface KvCache {
  readonly slotCount: number;
  /** Tokens of this chain that a new request would not compute now. */
  cachedTokens(chain: BlockChain): number;
  /** Leading blocks held here, as content; brings what an idle sequence holds into host memory first. */
  localBlocks(chain: BlockChain): Promise<Uint8Array[]>;
  /** An idle slot, filled with as much of the chain as any place has; at least one token is left to compute. */
  take(
    chain: BlockChain,
    blocks: readonly Uint8Array[] | undefined,
  ): Promise<{ readonly slot: Slot; readonly cachedTokens: number }>;
  /** The content of the leading `count` blocks of a working slot; they are kept in host memory too. */
  cut(slot: Slot, chain: BlockChain, count: number): Promise<Uint8Array[]>;
  /** Ends the work of a slot. `isSound` false: its KV is not to be trusted. */
  give(slot: Slot, tenantSalt: string | undefined, isSound: boolean): Promise<void>;
  drainEvents(): KvEvent[];
  snapshot(): KvEvent[];
}

export function createKvCache({
  sequences,
  card,
  layout,
  folder,
  hostStoreBytes,
  logger,
}: KvCacheOptions): KvCache {
  const { blockTokens } = card;
  const presence = createKvPresence();
  const store = createBlockStore(layout === undefined ? 0 : hostStoreBytes, presence);
  const slots = sequences.map((sequence): Slot => ({ sequence, held: undefined, isBusy: false, usedAt: 0 }));
  const copying = new Set<Promise<unknown>>();
  let uses = 0;

  const common = (held: BlockChain, chain: BlockChain): number => {
    if (held.tenantSalt !== chain.tenantSalt) return 0;
    const limit = Math.min(held.ids.length, chain.ids.length - 1);
    let same = 0;
    while (same < limit && held.ids[same] === chain.ids[same]) same++;
    return same;
  };
  const bestIdle = (chain: BlockChain): { slot: Slot | undefined; tokens: number } => {
    let best: { slot: Slot | undefined; tokens: number } = { slot: undefined, tokens: 0 };
    for (const slot of slots) {
      if (slot.isBusy || slot.held === undefined) continue;
      const tokens = common(slot.held, chain);
      if (tokens > best.tokens) best = { slot, tokens };
    }
    return best;
  };
  const leastUsed = (): Slot => {
    const idle = slots.filter(({ isBusy }) => !isBusy);
    return idle.reduce((best, slot) =>
      (slot.held === undefined ? -1 : slot.usedAt) < (best.held === undefined ? -1 : best.usedAt)
        ? slot
        : best,
    );
  };
  const reusableBlocks = ({ ids }: BlockChain): number => Math.floor((ids.length - 1) / blockTokens);

  const storedBlocks = (chain: BlockChain): Uint8Array[] => {
    const blocks: Uint8Array[] = [];
    for (const key of chain.keys.slice(0, reusableBlocks(chain))) {
      const bytes = store.get(key);
      if (bytes === undefined) break;
      blocks.push(bytes);
    }
    return blocks;
  };

  /** Copies the leading `count` blocks of a slot's KV into host memory, and gives them. */
  const copyBlocks = async (slot: Slot, chain: BlockChain, count: number): Promise<Uint8Array[]> => {
    const known = chain.keys.slice(0, count).map((key) => store.get(key));
    if (known.every((bytes) => bytes !== undefined)) return known;
    const file = await folder.read((path) => slot.sequence.saveStateToFile(path));
    const state = parseState(file);
    return known.map((bytes, index) => {
      if (bytes !== undefined) return bytes;
      const block = extractBlock(file, state, index, blockTokens);
      store.put(
        chain.keys[index]!,
        block,
        chain.names[index]!,
        index === 0 ? undefined : chain.names[index - 1],
      );
      return block;
    });
  };

  /** What an idle slot holds goes to host memory before the slot is used otherwise, so that no promise is broken. */
  const empty = async (slot: Slot): Promise<void> => {
    const { held } = slot;
    if (held === undefined) return;
    if (hostStoreBytes > 0) {
      await copyBlocks(slot, held, held.names.length).catch((error: unknown) => {
        logger.warn("KV of an idle sequence could not be kept", { error: String(error) });
      });
    }
    presence.remove(held.names, held.names.length);
    slot.held = undefined;
  };

  const load = async (slot: Slot, chain: BlockChain, blocks: readonly Uint8Array[]): Promise<boolean> => {
    try {
      const file = buildState(layout!, chain.ids, blocks, blockTokens);
      await folder.write(file, (path) => slot.sequence.loadStateFromFile(path, { acceptRisk: true }));
      return true;
    } catch (error) {
      logger.warn("KV blocks could not be loaded; they are computed instead", { error: String(error) });
      await slot.sequence.clearHistory();
      return false;
    }
  };

  return {
    slotCount: slots.length,
    cachedTokens(chain) {
      if (layout === undefined) return 0;
      let blocks = 0;
      // By names alone, without hashing: an estimate authorises nothing.
      while (blocks < reusableBlocks(chain) && presence.has(chain.names[blocks]!)) blocks++;
      return Math.max(blocks * blockTokens, bestIdle(chain).tokens);
    },
    async localBlocks(chain) {
      const stored = storedBlocks(chain);
      const { slot, tokens } = bestIdle(chain);
      const idle = Math.floor(tokens / blockTokens);
      if (slot === undefined || idle <= stored.length) return stored;
      slot.isBusy = true;
      const copied = copyBlocks(slot, chain, idle).finally(() => {
        slot.isBusy = false;
        copying.delete(copied);
      });
      copying.add(copied);
      return copied;
    },
    async take(chain, given) {
      // One is free by the queue's count, but may be lent to `localBlocks` for a moment.
      while (slots.every(({ isBusy }) => isBusy)) await Promise.race(copying);
      const blocks =
        layout === undefined ? [] : (given ?? storedBlocks(chain)).slice(0, reusableBlocks(chain));
      const idle = layout === undefined ? { slot: undefined, tokens: 0 } : bestIdle(chain);
      const isIdleLonger = idle.slot !== undefined && idle.tokens >= blocks.length * blockTokens;
      const slot = isIdleLonger ? idle.slot! : leastUsed();
      slot.isBusy = true;
      slot.usedAt = ++uses;
      try {
        await empty(slot);
        if (isIdleLonger) {
          await slot.sequence.adaptStateToTokens([...chain.ids.subarray(0, idle.tokens)] as Token[], false);
          if (slot.sequence.nextTokenIndex === idle.tokens) return { slot, cachedTokens: idle.tokens };
        }
        await slot.sequence.clearHistory();
        const isLoaded = blocks.length > 0 && (await load(slot, chain, blocks));
        return { slot, cachedTokens: isLoaded ? blocks.length * blockTokens : 0 };
      } catch (error) {
        slot.isBusy = false;
        throw error;
      }
    },
    cut: (slot, chain, count) => copyBlocks(slot, chain, count),
    async give(slot, tenantSalt, isSound) {
      if (isSound && layout !== undefined) {
        slot.held = createBlockChain(
          Uint32Array.from(slot.sequence.contextTokens),
          tenantSalt,
          card,
          blockTokens,
        );
        presence.add(slot.held.names, slot.held.names.length);
      } else await slot.sequence.clearHistory();
      slot.isBusy = false;
    },
    drainEvents: () => presence.drainEvents(),
    snapshot: () => presence.snapshot(),
  };
}
