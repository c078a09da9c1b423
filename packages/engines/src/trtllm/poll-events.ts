import { systemClock, type Clock, type KvEvent, type KvTier } from "@stator/core";
import type { EngineEvent } from "../kv-events/engine-event.ts";
import { createEventNamer } from "../kv-events/name-events.ts";
import type { ServerClient } from "../server/http/server-client.ts";
import type { EventSink, EventWatch, ServerFacts } from "../server/server-driver.ts";

/** One item of `POST /kv_cache_events`. */
interface Item {
  readonly event_id?: number | bigint;
  readonly window_size?: number | null;
  readonly attention_dp_rank?: number | null;
  readonly data: {
    readonly type: "created" | "stored" | "removed" | "updated";
    readonly parent_hash?: number | bigint | null;
    readonly blocks?: readonly {
      readonly block_hash: number | bigint;
      readonly tokens: readonly { readonly token_id: number; readonly token_extra_id?: number }[];
      readonly cache_level?: number;
      readonly mm_keys?: readonly unknown[];
    }[];
    readonly block_hashes?: readonly (number | bigint)[];
    readonly block_hash?: number | bigint;
    readonly cache_level?: { readonly old_value: number; readonly new_value: number } | null;
  };
}

/** How often the events are asked for, ms. */
const defaultPollMs = 100;

/**
 * Reads TensorRT-LLM's events by polling. Reading drains them, so there must be no other reader; their ids have no gaps, and
 * one that is missing means that the buffer ran over.
 */
export function pollEvents(
  client: ServerClient,
  facts: ServerFacts,
  { onEvents, logger }: EventSink,
  { pollMs = defaultPollMs, clock = systemClock }: { readonly pollMs?: number; readonly clock?: Clock } = {},
): EventWatch {
  const stopping = new AbortController();
  const namer = createEventNamer({
    blockTokens: facts.blockTokens,
    onSkipped: (reason) => logger.warn("KV events are left out", { url: client.url, reason }),
  });
  let next: bigint | undefined;
  let window = 0;

  const take = (item: Item): readonly KvEvent[] => {
    const rank = item.attention_dp_rank ?? 0;
    const events: KvEvent[] = [];
    if (item.event_id !== undefined) {
      const id = BigInt(item.event_id);
      if (next !== undefined && id !== next) {
        logger.warn("KV events got lost; what the engine holds is learnt anew", { url: client.url });
        events.push(...namer.clear());
      }
      next = id + 1n;
    }
    // With several attention windows only the largest one holds whole prefixes.
    const size = item.window_size ?? 0;
    if (size > window) {
      if (window > 0) events.push(...namer.clear());
      window = size;
    }
    if (size < window) return events;
    events.push(...namer.apply(rank, engineEvents(item, facts.blockTokens)));
    return events;
  };

  const poll = async (): Promise<void> => {
    try {
      const answer = await client.postJson("/kv_cache_events", {}, { signal: stopping.signal });
      const items = Array.isArray(answer) ? (answer as Item[]) : [];
      onEvents(items.flatMap(take));
    } catch (error) {
      if (!stopping.signal.aborted)
        logger.debug("KV events could not be read", { url: client.url, error: String(error) });
    }
    if (!stopping.signal.aborted) clock.schedule(pollMs, () => void poll());
  };
  void poll();
  return { snapshot: () => namer.snapshot(), stop: () => stopping.abort() };
}

const tiers: readonly KvTier[] = ["device", "host"];
const keyOf = (hash: number | bigint): bigint => BigInt.asUintN(64, BigInt(hash));

function engineEvents({ data }: Item, blockTokens: number): readonly EngineEvent[] {
  switch (data.type) {
    case "stored": {
      const events: EngineEvent[] = [];
      let parent =
        data.parent_hash === undefined || data.parent_hash === null ? undefined : keyOf(data.parent_hash);
      for (const block of data.blocks ?? []) {
        // The last block may be a part of one, which has no name yet.
        if (block.tokens.length !== blockTokens) break;
        const key = keyOf(block.block_hash);
        events.push({
          type: "stored",
          keys: [key],
          parent,
          tokenIds: block.tokens.map(({ token_id: id }) => id),
          blockTokens,
          adapter: undefined,
          salt: undefined,
          isUnnameable:
            (block.mm_keys?.length ?? 0) > 0 ||
            block.tokens.some(({ token_extra_id: extra = 0 }) => extra !== 0),
          tier: tiers[block.cache_level ?? 0] ?? "device",
          group: 0,
          groupKind: undefined,
        });
        parent = key;
      }
      return events;
    }
    case "removed":
      // It does not say from where: from everywhere.
      return tiers.map((tier) => ({
        type: "removed",
        keys: (data.block_hashes ?? []).map(keyOf),
        tier,
        group: 0,
      }));
    case "updated": {
      const { block_hash: hash, cache_level: level } = data;
      if (hash === undefined || level === undefined || level === null) return [];
      const [from, to] = [tiers[level.old_value], tiers[level.new_value]];
      return from === undefined || to === undefined ? [] : [{ type: "moved", key: keyOf(hash), from, to }];
    }
    default:
      return [];
  }
}
