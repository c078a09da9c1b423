import type { ServiceImpl } from "@connectrpc/connect";
import type { BlockNames, TransferService } from "@stator/contracts";
import type { HandoffSink } from "../handoff/handoff-sink.ts";
import type { HandoffSource } from "../handoff/handoff-source.ts";
import type { TierBlock } from "../tiers/kv-tier.ts";
import type { TierStore } from "../tiers/tier-store.ts";
import { transferError } from "../transfer-error.ts";
import { splitKeys } from "./key-list.ts";

export interface BlockServiceOptions {
  readonly store: TierStore;
  readonly source: HandoffSource;
  readonly sink: HandoffSink;
}

const mostLeaseMs = 60_000;

type BlockMethods = Pick<ServiceImpl<typeof TransferService>, "findBlocks" | "offerBlocks" | "storeBlocks">;

/** KV blocks kept for other processes: asked for over Connect, moved one-sided by the agents, as handoffs. */
export function blockService({ store, source, sink }: BlockServiceOptions): BlockMethods {
  return {
    async findBlocks({ keys }) {
      return { leading: await store.find(splitKeys(keys)) };
    },
    async offerBlocks({ keys, leaseMs }) {
      const wanted = splitKeys(keys);
      const held = await store.read(wanted);
      const offer = await source.offer({
        blocks: held.map(({ block: { bytes } }, i) => ({ key: wanted[i] as Uint8Array, bytes })),
        leaseMs: Math.min(mostLeaseMs, Math.max(1, leaseMs)),
      });
      return {
        opaque: offer.opaque,
        names: {
          names: held.map(({ block }) => block.name),
          parents: held.map(({ block }) => block.parent ?? 0n),
          hasParent: held.map(({ block }) => block.parent !== undefined),
        },
      };
    },
    async storeBlocks({ opaque, keys, names }, { signal }) {
      const wanted = splitKeys(keys);
      const contents = await sink.fetch(opaque, {
        signal,
        lacks(index, key) {
          if (Buffer.compare(wanted[index] ?? new Uint8Array(), key) !== 0)
            throw transferError(
              "TRANSFER_INCOMPATIBLE",
              `Block ${index} of the offer has another key than asked for.`,
              {
                index,
              },
            );
          return !store.tiers.every((tier) => tier.has(key));
        },
      });
      let stored = 0;
      for (const [index, bytes] of contents.entries()) {
        if (bytes === undefined) continue;
        await store.put({ key: wanted[index] as Uint8Array, bytes, ...nameOf(names, index) });
        stored += 1;
      }
      return { stored };
    },
  };
}

/** Of one of several blocks. */
export function nameOf(names: BlockNames | undefined, index: number): Pick<TierBlock, "name" | "parent"> {
  const name = names?.names[index] ?? 0n;
  return names?.hasParent[index] === true ? { name, parent: names.parents[index] ?? 0n } : { name };
}
