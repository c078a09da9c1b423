import type { Client } from "@connectrpc/connect";
import type { TransferService } from "@stator/contracts";
import type { TransferAgent } from "../agent/transfer-agent.ts";
import { nameOf } from "../control/block-service.ts";
import { joinKeys } from "../control/key-list.ts";
import { createHandoffSink } from "../handoff/handoff-sink.ts";
import { createHandoffSource } from "../handoff/handoff-source.ts";
import { transferError } from "../transfer-error.ts";
import { createKnownBlocks } from "./known-blocks.ts";
import type { Tier, TierBlock, TierPlugin } from "./kv-tier.ts";

export interface SharedTierOptions {
  /** Of the process that keeps the blocks: `createTransferService({ agent, store })` there. */
  readonly client: Client<typeof TransferService>;
  /** Moves the bytes. */
  readonly agent: TransferAgent;
  /** Longest wait for that process, ms. Default 2,000. Silence costs a block, never a request. */
  readonly timeoutMs?: number;
}

/** Blocks asked for together. */
interface Asked {
  readonly keys: Uint8Array[];
  readonly answers: ((block: TierBlock | undefined) => void)[];
}

/**
 * Blocks that another process keeps for all. It is asked once per prompt which of its blocks are there; bytes are read
 * and offered one-sided by the agents. Its changes are those that this process made or noticed.
 */
export function sharedTier({ client, agent, timeoutMs = 2_000 }: SharedTierOptions): TierPlugin {
  if (!(timeoutMs > 0))
    throw transferError("TRANSFER_OPTION_INVALID", "sharedTier: timeoutMs must be above 0.", { timeoutMs });
  return {
    open(onChange) {
      const source = createHandoffSource({ agent });
      const sink = createHandoffSink({ agent });
      const known = createKnownBlocks(onChange);
      let asked: Asked | undefined;
      const fetchAll = async (keys: readonly Uint8Array[]): Promise<readonly (TierBlock | undefined)[]> => {
        try {
          const signal = AbortSignal.timeout(timeoutMs);
          const request = { keys: joinKeys(keys), leaseMs: timeoutMs };
          const { opaque, names } = await client.offerBlocks(request, { signal });
          const contents = await sink.fetch(opaque, {
            signal,
            lacks: (index, key) => Buffer.compare(keys[index] ?? new Uint8Array(), key) === 0,
          });
          return contents.map((bytes, i) =>
            bytes === undefined ? undefined : { key: keys[i] as Uint8Array, bytes, ...nameOf(names, i) },
          );
        } catch {
          return [];
        }
      };
      const tier: Tier = {
        kind: "shared",
        budgetBytes: Infinity,
        usedBytes: 0,
        get blocks() {
          return known.size;
        },
        has: known.has,
        async find(keys) {
          try {
            const { leading } = await client.findBlocks({ keys: joinKeys(keys) }, { timeoutMs });
            for (const key of keys.slice(0, leading)) known.learn(key);
            return leading;
          } catch {
            return 0;
          }
        },
        async get(key) {
          // Those asked for in one turn travel together.
          const block = await new Promise<TierBlock | undefined>((resolve) => {
            if (asked === undefined) {
              const batch: Asked = (asked = { keys: [], answers: [] });
              queueMicrotask(() => {
                asked = undefined;
                void fetchAll(batch.keys).then((found) =>
                  batch.answers.forEach((answer, i) => answer(found[i])),
                );
              });
            }
            asked.keys.push(key);
            asked.answers.push(resolve);
          });
          if (block === undefined) known.unlearn(key);
          return block;
        },
        async put({ key, name, parent, bytes }) {
          if (known.has(key)) return true;
          const offer = await source.offer({ blocks: [{ key, bytes }], leaseMs: timeoutMs });
          try {
            const names = { names: [name], parents: [parent ?? 0n], hasParent: [parent !== undefined] };
            await client.storeBlocks({ opaque: offer.opaque, keys: key, names }, { timeoutMs });
            known.learn(key, { name, parent });
            return true;
          } catch {
            return false;
          } finally {
            offer.release();
          }
        },
        remove(key) {
          known.unlearn(key);
          return Promise.resolve();
        },
        close: () => Promise.resolve(),
      };
      return Promise.resolve(tier);
    },
  };
}
