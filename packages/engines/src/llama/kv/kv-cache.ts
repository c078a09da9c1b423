import type { LlamaContextSequence, Token } from "node-llama-cpp";
import type { Logger, ModelCard } from "@stator/core";
import type { TierStore } from "@stator/kv-transfer";

import { createBlockChain, type BlockChain } from "./block-chain.ts";
import type { KvPresence } from "./kv-presence.ts";
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
  /** Where blocks outlive a sequence; undefined: nowhere. */
  readonly store: TierStore | undefined;
  readonly presence: KvPresence;
  readonly logger: Logger;
}

/** All KV of one engine: idle sequences, and blocks in tiers. */
export interface KvCache {
  readonly slotCount: number;
  /** Tokens of this chain that a new request would not compute now. */
  cachedTokens(chain: BlockChain): number;
  /** Leading blocks held here, as content; brings what an idle sequence holds into the tiers first. */
  localBlocks(chain: BlockChain): Promise<Uint8Array[]>;
  /** An idle slot, filled with as much of the chain as any place has; at least one token is left to compute. */
  take(
    chain: BlockChain,
    blocks: readonly Uint8Array[] | undefined,
  ): Promise<{ readonly slot: Slot; readonly cachedTokens: number }>;
  /** The content of the leading `count` blocks of a working slot; they are kept in the tiers too. */
  cut(slot: Slot, chain: BlockChain, count: number): Promise<Uint8Array[]>;
  /** Ends the work of a slot. `isSound` false: its KV is not to be trusted. */
  give(slot: Slot, tenantSalt: string | undefined, isSound: boolean): Promise<void>;
  /** Waits for copies on their way, and closes the tiers. */
  close(): Promise<void>;
}

export function createKvCache(options: KvCacheOptions): KvCache {
  const { sequences, card, layout, folder, store, presence, logger } = options;
  const { blockTokens } = card;
  const slots = sequences.map((sequence): Slot => ({ sequence, held: undefined, isBusy: false, usedAt: 0 }));
  const copying = new Set<Promise<unknown>>();
  // Host memory dies with the sequences, so it gets a block when its sequence is needed; what outlives the process gets it at once.
  const outlives = store?.tiers.some(({ kind }) => kind !== "host") === true;
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

  const findBlocks = async (chain: BlockChain): Promise<number> =>
    store === undefined ? 0 : store.find(chain.keys.slice(0, reusableBlocks(chain)));
  const readBlocks = async (chain: BlockChain, count: number): Promise<Uint8Array[]> =>
    store === undefined || count === 0
      ? []
      : (await store.read(chain.keys.slice(0, count))).map(({ block }) => block.bytes);

  /** Copies the leading `count` blocks of a slot's KV into the tiers, and gives them. */
  const copyBlocks = async (slot: Slot, chain: BlockChain, count: number): Promise<Uint8Array[]> => {
    if (store !== undefined && chain.keys.slice(0, count).every((key) => store.where(key) === "host")) {
      const known = await readBlocks(chain, count);
      if (known.length === count) return known;
    }
    const file = await folder.read((path) => slot.sequence.saveStateToFile(path));
    const state = parseState(file);
    const blocks: Uint8Array[] = [];
    for (let index = 0; index < count; index++) {
      const bytes = extractBlock(file, state, index, blockTokens);
      blocks.push(bytes);
      await store?.put({
        key: chain.keys[index]!,
        name: chain.names[index]!,
        parent: index === 0 ? undefined : chain.names[index - 1],
        bytes,
      });
    }
    return blocks;
  };
  /** Lends an idle slot to a copy; others wait for it only when no other slot is free. */
  const copyIdle = (slot: Slot, chain: BlockChain, count: number): Promise<Uint8Array[]> => {
    slot.isBusy = true;
    const copy = copyBlocks(slot, chain, count).finally(() => {
      slot.isBusy = false;
      copying.delete(copy);
    });
    copying.add(copy);
    return copy;
  };
  const isKept = (chain: BlockChain): boolean =>
    store === undefined || chain.keys.every((key) => store.tiers.every((tier) => tier.has(key)));
  const warn = (error: unknown): void =>
    logger.warn("KV of an idle sequence could not be kept", { error: String(error) });

  /** What an idle slot holds goes to the tiers before the slot is used otherwise, so that no promise is broken. */
  const empty = async (slot: Slot): Promise<void> => {
    const { held } = slot;
    if (held === undefined) return;
    if (store !== undefined && store.leading(held.keys) < held.keys.length)
      await copyBlocks(slot, held, held.names.length).catch(warn);
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
      const found = await findBlocks(chain);
      const { slot, tokens } = bestIdle(chain);
      const idle = Math.floor(tokens / blockTokens);
      return slot === undefined || idle <= found ? readBlocks(chain, found) : copyIdle(slot, chain, idle);
    },
    async take(chain, given) {
      const found = layout === undefined ? 0 : (given?.length ?? (await findBlocks(chain)));
      const count = Math.min(found, reusableBlocks(chain));
      // One is free by the queue's count, but may be lent to a copy for a moment.
      while (slots.every(({ isBusy }) => isBusy)) await Promise.race(copying);
      const idle = layout === undefined ? { slot: undefined, tokens: 0 } : bestIdle(chain);
      const isIdleLonger = idle.slot !== undefined && idle.tokens >= count * blockTokens;
      const slot = isIdleLonger ? idle.slot! : leastUsed();
      slot.isBusy = true;
      slot.usedAt = ++uses;
      try {
        // Read while the slot is emptied, and before what it held pushes others out.
        const reading = isIdleLonger ? undefined : (given ?? readBlocks(chain, count));
        const [read = []] = await Promise.all([reading, empty(slot)]);
        if (isIdleLonger) {
          await slot.sequence.adaptStateToTokens([...chain.ids.subarray(0, idle.tokens)] as Token[], false);
          if (slot.sequence.nextTokenIndex === idle.tokens) return { slot, cachedTokens: idle.tokens };
        }
        await slot.sequence.clearHistory();
        const blocks = read.slice(0, count);
        const isLoaded = blocks.length > 0 && (await load(slot, chain, blocks));
        return { slot, cachedTokens: isLoaded ? blocks.length * blockTokens : 0 };
      } catch (error) {
        slot.isBusy = false;
        throw error;
      }
    },
    cut: copyBlocks,
    async give(slot, tenantSalt, isSound) {
      if (!isSound || layout === undefined) {
        await slot.sequence.clearHistory();
        slot.isBusy = false;
        return;
      }
      slot.isBusy = false;
      const ids = Uint32Array.from(slot.sequence.contextTokens);
      const held = createBlockChain(ids, tenantSalt, card, blockTokens);
      slot.held = held;
      presence.add(held.names, held.names.length);
      if (outlives && !isKept(held)) copyIdle(slot, held, held.names.length).catch(warn);
    },
    async close() {
      while (copying.size > 0) await Promise.allSettled(copying);
      await store?.close();
    },
  };
}
