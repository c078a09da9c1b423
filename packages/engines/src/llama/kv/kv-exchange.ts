import type { GenerateRequest, Handoff, ModelCard } from "@stator/core";

import { lacksFrom } from "../../handoff/lacks-from.ts";
import type { OfferBook } from "../../handoff/offer-book.ts";
import type { HandoffSink } from "../../handoff/transfer.ts";
import type { BlockChain } from "./block-chain.ts";
import type { KvCache, Slot } from "./kv-cache.ts";

export interface KvExchangeOptions {
  readonly cache: KvCache;
  readonly card: ModelCard;
  readonly sink: HandoffSink;
  readonly offers: OfferBook;
  /** Bytes of one block; another size is not loaded. */
  readonly blockBytes: number;
}

/** KV of requests on its way out of this engine and into it. */
export interface KvExchange {
  /** Leading blocks of a chain: those held here, then those that the handoff brings. */
  receive(handoff: Handoff, chain: BlockChain, signal: AbortSignal): Promise<Uint8Array[]>;
  /** Puts the full blocks of a working slot on offer. `ids`: prompt and output, the last one not computed yet. */
  handOver(slot: Slot, chain: BlockChain, request: GenerateRequest, ids: readonly number[]): Promise<Handoff>;
}

export function createKvExchange({ cache, card, sink, offers, blockBytes }: KvExchangeOptions): KvExchange {
  return {
    async receive(handoff, chain, signal) {
      const blocks = await cache.localBlocks(chain);
      const local = blocks.length;
      const received = await sink.fetch(handoff.opaque, { signal, lacks: lacksFrom(chain.keys, local) });
      for (const bytes of received.slice(local)) {
        if (bytes?.length !== blockBytes) break;
        blocks.push(bytes);
      }
      return blocks;
    },
    async handOver(slot, chain, { promptIds }, ids) {
      const contents = await cache.cut(slot, chain, chain.names.length);
      const blocks = contents.map((bytes, index) => ({ key: chain.keys[index]!, bytes }));
      return offers.handoff({ card, blocks, firstIds: ids.slice(promptIds.length) });
    },
  };
}
