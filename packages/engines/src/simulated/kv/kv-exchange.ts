import type { ModelCard } from "@stator/core";

import { lacksFrom } from "../../handoff/lacks-from.ts";
import { reuseKeys } from "../../handoff/reuse-keys.ts";
import type { HandoffSink, OfferedBlock } from "../../handoff/transfer.ts";
import type { BlockPool } from "./block-pool.ts";
import { decodeBlock, encodeBlock } from "./block-wire.ts";
import { namesOf, type Sequence } from "../steps/sequence.ts";
import type { Digest } from "../model/token-function.ts";

export interface KvExchangeOptions {
  readonly pool: BlockPool;
  readonly card: ModelCard;
  readonly sink: HandoffSink;
  readonly blockBytes: number;
}

/** KV of sequences on its way out of the pool and into it. */
export interface KvExchange {
  /** Copies of a sequence's full blocks, with the keys that authorise their reuse. */
  copyBlocks(sequence: Sequence): OfferedBlock[];
  /** Fetches what the sequence's handoff has and this engine lacks; the scheduler puts it in place. */
  receive(sequence: Sequence, signal: AbortSignal): Promise<void>;
}

export function createKvExchange({ pool, card, sink, blockBytes }: KvExchangeOptions): KvExchange {
  const keysOf = ({ request, ids }: Sequence, tokens: number): Uint8Array[] =>
    reuseKeys({ ...card, ...request }, ids.subarray(0, tokens), card.blockTokens);

  return {
    copyBlocks(sequence) {
      const content: Digest = { low: 0, high: 0 };
      return keysOf(sequence, sequence.computed).map((key, i) => {
        pool.read(sequence.blocks[i]!, content);
        return { key, bytes: encodeBlock(content, blockBytes) };
      });
    },
    async receive(sequence, signal) {
      const keys = keysOf(sequence, sequence.length);
      const names = namesOf(sequence, keys.length);
      const local = pool.match(names, sequence.ids, sequence.scope, keys.length);
      // The content of the local ones is kept too: they may be evicted before this sequence is admitted.
      const received: (Digest | undefined)[] = pool.peek(names, local);
      const bytes = await sink.fetch(sequence.request.handoff!.opaque, {
        signal,
        lacks: lacksFrom(keys, local),
      });
      bytes.forEach((block, index) => {
        if (block !== undefined) received[index] = decodeBlock(block);
      });
      sequence.received = received;
    },
  };
}
