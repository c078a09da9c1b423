import type { Logger } from "@stator/core";
import { EnginesError } from "../errors/engines-error.ts";
import { decodeBatch } from "./decode-batch.ts";
import type { EngineBatch } from "./engine-event.ts";

export interface ZmqFeedOptions {
  readonly endpoint: string;
  readonly replay: string | undefined;
  readonly onBatch: (batch: EngineBatch) => void;
  /** Events are lost, or the engine began anew: nothing that was said before holds. */
  readonly onLost: (reason: string) => void;
  readonly logger: Logger;
  /** Longest wait for one reply of a replay, ms. Default 1,000. */
  readonly replayMs?: number;
}

/** Sequence number that ends a replay: eight bytes of 0xff. */
const endOfReplay = 0xffff_ffff_ffff_ffffn;

/** Loads the optional peer. @throws EnginesError `ENGINES_ZMQ_MISSING` */
export async function loadZeromq(): Promise<typeof import("zeromq")> {
  try {
    return await import("zeromq");
  } catch (cause) {
    throw new EnginesError({
      code: "ENGINES_ZMQ_MISSING",
      kind: "unavailable",
      message: "KV events of vLLM and SGLang need the package zeromq: npm install zeromq",
      cause,
    });
  }
}

/**
 * Reads one publisher: frames of topic, sequence number and payload. A gap is replayed where there is a replay endpoint, else
 * everything is dropped; a number that goes back means that the engine restarted. Returns how to stop.
 */
export async function readZmqFeed(options: ZmqFeedOptions): Promise<() => void> {
  const { endpoint, onBatch, onLost, logger } = options;
  const { Subscriber } = await loadZeromq();
  const socket = new Subscriber({ receiveHighWaterMark: 100_000, linger: 0 });
  let isStopped = false;
  if (/\*|\[::\]/.test(endpoint)) await socket.bind(endpoint);
  else socket.connect(endpoint);
  socket.subscribe();

  let next: bigint | undefined;
  const take = (sequence: bigint, payload: Uint8Array): void => {
    next = sequence + 1n;
    try {
      onBatch(decodeBatch(payload));
    } catch (error) {
      logger.warn("a KV event message cannot be read", { endpoint, error: String(error) });
      onLost("a message could not be read");
    }
  };
  /** Brings what lies before `until`; false when its end is missing. A hole inside of it is told as lost. */
  const repair = async (from: bigint, until: bigint): Promise<boolean> => {
    try {
      for await (const [sequence, payload] of replayed(options, from)) {
        if (sequence >= until || isStopped) break;
        if (sequence < (next ?? from)) continue;
        if (sequence > (next ?? from)) onLost("the engine's replay buffer no longer has them");
        take(sequence, payload);
      }
    } catch (error) {
      logger.warn("KV events could not be replayed", { endpoint, error: String(error) });
    }
    return next === until;
  };

  const run = async (): Promise<void> => {
    for await (const frames of socket) {
      const [head, payload] = lastTwo(frames);
      if (head === undefined || payload === undefined) continue;
      const sequence = head.readBigUInt64BE();
      if (next !== undefined && sequence < next) {
        onLost("the engine restarted");
        next = undefined;
      }
      const expected = next ?? 0n;
      if (sequence > expected) {
        const isFirst = next === undefined;
        const isRepaired = options.replay !== undefined && (await repair(expected, sequence));
        // Nothing was believed before the first message: what came earlier is only unknown.
        if (!isRepaired && !isFirst) onLost(`messages ${expected} to ${sequence - 1n} are gone`);
      }
      take(sequence, payload);
    }
  };
  run().catch((error: unknown) => {
    if (!isStopped) logger.error("reading KV events ended", { endpoint, error: String(error) });
  });
  return () => {
    isStopped = true;
    socket.close();
  };
}

/**
 * Asks for everything from a number on. A DEALER, because the answer is many messages; older engines answer with three
 * frames, newer ones with the topic between.
 */
async function* replayed(
  { replay, replayMs = 1_000 }: ZmqFeedOptions,
  from: bigint,
): AsyncGenerator<readonly [bigint, Buffer]> {
  const { Dealer } = await loadZeromq();
  const socket = new Dealer({ receiveTimeout: replayMs, sendTimeout: replayMs, linger: 0 });
  try {
    socket.connect(replay!);
    const start = Buffer.alloc(8);
    start.writeBigUInt64BE(from);
    await socket.send([Buffer.alloc(0), start]);
    for (;;) {
      const [head, payload] = lastTwo(await socket.receive());
      if (head === undefined || payload === undefined) return;
      const sequence = head.readBigUInt64BE();
      if (sequence === endOfReplay) return;
      yield [sequence, payload];
    }
  } finally {
    socket.close();
  }
}

function lastTwo(frames: readonly Buffer[]): readonly [Buffer | undefined, Buffer | undefined] {
  const [head, payload] = frames.slice(-2);
  return head?.length === 8 ? [head, payload] : [undefined, undefined];
}
