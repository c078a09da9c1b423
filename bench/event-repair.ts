// `npm run bench -- event-repair --json`: fault row 17 in virtual time. A router hears an engine; another hears it from that one
// over a wire that drops 5 %, repeats 10 % and shuffles within 16 messages, repairs included. After the last event, how long
// until both indexes are equal, over 1,000 seeds; and whether snapshots are asked for for ever.
import { parseArgs } from "node:util";
import { createVirtualClock, hashSchemeXxh3, type KvEvent, type VirtualClock } from "@stator/core";
import { createReplicaGroup, type ReplicaChannel } from "@stator/router";
import { createSelector, type Selector } from "@stator/router/selector";
import { seededRandom } from "@stator/simulator/workload";

const DROPPED = 0.05;
const REPEATED = 0.1;
const WINDOW = 16;
const BATCHES = 200;
const LIMIT_MS = 2000;

export async function run(args: readonly string[]): Promise<unknown> {
  const { values } = parseArgs({ args: [...args], options: { seeds: { type: "string", default: "1000" } } });
  const seeds = Number(values.seeds);
  const delaysMs: number[] = [];
  let [late, loops, messages, snapshots] = [0, 0, 0, 0];
  for (let seed = 1; seed <= seeds; seed++) {
    const result = trial(seed);
    delaysMs.push(result.equalAfterMs);
    if (result.equalAfterMs > LIMIT_MS) late++;
    if (result.bytesAfterEqual > 0) loops++;
    messages += result.messages;
    snapshots += result.snapshots;
  }
  delaysMs.sort((a, b) => a - b);
  return {
    seeds,
    dropped: DROPPED,
    repeated: REPEATED,
    shuffleWindow: WINDOW,
    equalWithinMs: {
      p50: delaysMs[seeds >> 1],
      p99: delaysMs[Math.floor(seeds * 0.99)],
      max: delaysMs.at(-1),
    },
    seedsLaterThan2s: late,
    seedsWithResyncLoop: loops,
    messagesPerSeed: Math.round(messages / seeds),
    snapshotsPerSeed: Number((snapshots / seeds).toFixed(2)),
  };
}

interface Trial {
  readonly equalAfterMs: number;
  /** Asked for or sent in 5 s after both were equal, beyond saying alive. */
  readonly bytesAfterEqual: number;
  readonly messages: number;
  readonly snapshots: number;
}

function trial(seed: number): Trial {
  const clock = createVirtualClock();
  const random = seededRandom(seed);
  const wire = lossyWire(clock, random);
  const [source, mirror] = ["source", "mirror"].map((router, side) => {
    const selector = createSelector({ clock });
    const group = createReplicaGroup({ channel: wire.end(side), router, clock });
    return { selector, replica: group.join("m", selector, { sharesIndex: true }) };
  }) as [Joined, Joined];
  const capacity = { requests: 9, kvBlocks: 9999, queue: 9 };
  source.replica.addWorker(
    { id: "w", epoch: "1", role: "both", model: "m", capacity, ranks: 1, labels: {} },
    { blockTokens: 16, hashScheme: hashSchemeXxh3, adapters: [] },
  );
  const held: BigUint64Array[] = [];
  for (let i = 1; i <= BATCHES; i++) {
    const events: KvEvent[] = [];
    if (held.length > 20 && random() < 0.5) {
      const [gone] = held.splice(Math.floor(random() * held.length), 1);
      events.push({ type: "removed", sequenceHashes: gone!.slice().reverse(), tier: "device", rank: 0 });
    }
    const chain = BigUint64Array.from({ length: 8 }, () => randomName(random));
    held.push(chain);
    events.push({ type: "stored", sequenceHashes: chain, tier: "device", rank: 0 });
    source.replica.observe({ worker: "w", epoch: "1", sequence: BigInt(i), events });
    clock.advance(5);
  }
  const quietMs = clock.now();
  while (!isEqual(source.selector, mirror.selector) && clock.now() - quietMs < 30_000) clock.advance(10);
  const equalAfterMs = clock.now() - quietMs;
  clock.advance(1000);
  const before = wire.longMessages;
  clock.advance(5000);
  return {
    equalAfterMs,
    bytesAfterEqual: wire.longMessages - before,
    messages: wire.messages,
    snapshots: wire.longMessages,
  };
}

interface Joined {
  readonly selector: Selector;
  readonly replica: ReturnType<ReturnType<typeof createReplicaGroup>["join"]>;
}

/** Same sequence, same number of blocks, same XOR of names. */
function isEqual(a: Selector, b: Selector): boolean {
  if (a.nextSequence("w") !== b.nextSequence("w") || b.nextSequence("w") === undefined) return false;
  return digest(a) === digest(b);
}

function digest(selector: Selector): string {
  let [blocks, xor] = [0, 0n];
  for (const event of selector.dump("w")?.events ?? []) {
    if (event.type !== "stored") continue;
    for (const name of event.sequenceHashes) {
      blocks++;
      xor ^= name;
    }
  }
  return `${blocks}/${xor}`;
}

function randomName(random: () => number): bigint {
  return (BigInt(Math.floor(random() * 2 ** 32)) << 32n) | BigInt(1 + Math.floor(random() * (2 ** 32 - 1)));
}

/** Two ends; what one says the other hears 1 ms later, or not, or twice, or after some of what followed. */
function lossyWire(clock: VirtualClock, random: () => number) {
  const listeners: ((payload: Uint8Array) => void)[][] = [[], []];
  const wire = { messages: 0, longMessages: 0, end };
  function end(side: number): ReplicaChannel {
    const held: Uint8Array[] = [];
    const flush = (keep: number): void => {
      while (held.length > keep) {
        const [payload] = held.splice(Math.floor(random() * held.length), 1);
        for (const listener of listeners[1 - side]!) listener(payload!);
      }
    };
    return {
      publish(_topic, payload) {
        wire.messages++;
        // Snapshots and what asks for them: told apart by length from single batches.
        if (payload.length > 1000) wire.longMessages++;
        if (random() < DROPPED) return true;
        held.push(payload);
        if (random() < REPEATED) held.push(payload);
        flush(WINDOW - 1);
        // What waits in the window goes on when nothing follows.
        clock.schedule(20, () => flush(0));
        return true;
      },
      subscribe(_topic, listener) {
        listeners[side]!.push(listener);
        return () => undefined;
      },
    };
  }
  return wire;
}
