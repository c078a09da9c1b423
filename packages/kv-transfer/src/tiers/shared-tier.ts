import type { Client } from "@connectrpc/connect";
import type { TransferService } from "@stator/contracts";
import type { TransferAgent } from "../agent/transfer-agent.ts";
import { nameOf } from "../control/block-service.ts";
import { joinKeys } from "../control/key-list.ts";
import { createHandoffSink } from "../handoff/handoff-sink.ts";
import { createHandoffSource } from "../handoff/handoff-source.ts";
import { transferError } from "../transfer-error.ts";
import { changeOf, keyText, type Tier, type TierBlock, type TierPlugin } from "./kv-tier.ts";

export interface SharedTierOptions {
  /** Of the process that keeps the blocks: `createTransferService({ agent, store })` there. */
  readonly client: Client<typeof TransferService>;
  /** Moves the bytes. */
  readonly agent: TransferAgent;
  /** Longest wait for that process, ms. Default 2,000. Silence costs a block, never a request. */
  readonly timeoutMs?: number;
}

type Name = Pick<TierBlock, "name" | "parent">;

/** Blocks asked for together. */
interface Asked {
  readonly keys: Uint8Array[];
  readonly answers: ((block: TierBlock | undefined) => void)[];
}

/** Keys whose presence is remembered; the oldest are forgotten. */
const mostKnown = 262_144;

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
      // What this process put there, with its names; `undefined` for what others did.
      const known = new Map<string, Name | undefined>();
      let asked: Asked | undefined;

      const learn = (key: Uint8Array, name?: Name): void => {
        const id = keyText(key);
        const before = known.get(id);
        known.delete(id);
        known.set(id, before ?? name);
        if (known.size > mostKnown) known.delete(known.keys().next().value as string);
        if (before === undefined && name !== undefined)
          onChange(changeOf("stored", "shared", { key, ...name }));
      };
      const unlearn = (key: Uint8Array): void => {
        const name = known.get(keyText(key));
        known.delete(keyText(key));
        if (name !== undefined) onChange(changeOf("removed", "shared", { key, ...name }));
      };
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
        has: (key) => known.has(keyText(key)),
        async find(keys) {
          try {
            const { leading } = await client.findBlocks({ keys: joinKeys(keys) }, { timeoutMs });
            for (const key of keys.slice(0, leading)) learn(key);
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
          if (block === undefined) unlearn(key);
          return block;
        },
        async put({ key, name, parent, bytes }) {
          if (known.has(keyText(key))) return true;
          const offer = await source.offer({ blocks: [{ key, bytes }], leaseMs: timeoutMs });
          try {
            const names = { names: [name], parents: [parent ?? 0n], hasParent: [parent !== undefined] };
            await client.storeBlocks({ opaque: offer.opaque, keys: key, names }, { timeoutMs });
            learn(key, { name, parent });
            return true;
          } catch {
            return false;
          } finally {
            offer.release();
          }
        },
        remove(key) {
          unlearn(key);
          return Promise.resolve();
        },
        close: () => Promise.resolve(),
      };
      return Promise.resolve(tier);
    },
  };
}
