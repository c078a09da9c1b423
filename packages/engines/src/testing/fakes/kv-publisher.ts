import { encode } from "@msgpack/msgpack";
import { nameBlocks } from "@stator/core";
import { loadZeromq } from "../../kv-events/zmq-feed.ts";

export interface KvPublisherOptions {
  /** Replies of the replay endpoint: three frames as older engines send, or four with the topic. Default 4. */
  readonly replayFrames?: 3 | 4;
  /** Messages that can be replayed. Default 10,000. */
  readonly bufferSteps?: number;
}

/** The event publisher of an engine: numbered ZMQ messages with a replay endpoint. */
export interface KvPublisher {
  readonly endpoint: string;
  readonly replay: string;
  /** Publishes one batch of raw events; `isLost` numbers and keeps it, but sends nothing. */
  publish(
    events: readonly unknown[],
    options?: { readonly isLost?: boolean; readonly payload?: Uint8Array },
  ): Promise<void>;
  /** Numbers begin at 0 again, as after a restart of the engine. */
  restart(): void;
  close(): void;
}

export async function startKvPublisher({
  replayFrames = 4,
  bufferSteps = 10_000,
}: KvPublisherOptions = {}): Promise<KvPublisher> {
  const { Publisher, Router } = await loadZeromq();
  const topic = Buffer.from("kv-events");
  const publisher = new Publisher({ linger: 0 });
  const router = new Router({ linger: 0 });
  await publisher.bind("tcp://127.0.0.1:*");
  await router.bind("tcp://127.0.0.1:*");
  let kept: (readonly [bigint, Uint8Array])[] = [];
  let next = 0n;
  const numbered = (sequence: bigint): Buffer => {
    const bytes = Buffer.alloc(8);
    bytes.writeBigUInt64BE(sequence);
    return bytes;
  };
  const serve = async (): Promise<void> => {
    for await (const [client, empty, start] of router) {
      const from = start!.readBigUInt64BE();
      const head = [client!, empty!, ...(replayFrames === 4 ? [topic] : [])];
      for (const [sequence, payload] of kept) {
        if (sequence >= from) await router.send([...head, numbered(sequence), payload]);
      }
      await router.send([...head, numbered(0xffff_ffff_ffff_ffffn), Buffer.alloc(0)]);
    }
  };
  serve().catch(() => undefined);

  return {
    endpoint: publisher.lastEndpoint!,
    replay: router.lastEndpoint!,
    async publish(
      events,
      { isLost = false, payload = encode([Date.now() / 1_000, events, null], { useBigInt64: true }) } = {},
    ) {
      const sequence = next++;
      kept = [...kept, [sequence, payload] as const].slice(-bufferSteps);
      if (!isLost) await publisher.send([topic, numbered(sequence), payload]);
    },
    restart() {
      next = 0n;
      kept = [];
    },
    close() {
      publisher.close();
      router.close();
    },
  };
}

/** Events for the full blocks of a prompt, once each, under keys that are not our names. */
export function storedEvents(
  ids: ArrayLike<number>,
  blockTokens: number,
  known: Set<bigint>,
  form: "map" | "array" = "map",
): unknown[] {
  const all = Array.from(ids);
  const keys = [...nameBlocks(all, { blockTokens, salt: "the engine's own" })];
  const first = keys.findIndex((key) => !known.has(key));
  if (first < 0) return [];
  const fresh = keys.slice(first);
  for (const key of fresh) known.add(key);
  const parent = first === 0 ? null : keys[first - 1];
  const tokenIds = all.slice(first * blockTokens, keys.length * blockTokens);
  if (form === "array") return [["BlockStored", fresh, parent, tokenIds, blockTokens, null]];
  return [
    {
      type: "BlockStored",
      block_hashes: fresh,
      parent_block_hash: parent,
      token_ids: tokenIds,
      block_size: blockTokens,
      lora_id: null,
      medium: "GPU",
      lora_name: null,
    },
  ];
}
