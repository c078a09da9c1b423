// `npm run bench -- churn --json`: a million requests whose prefixes come and go, through one selector: named blocks, events
// of eight workers that each keep what they computed last, bookings freed. Prints resident memory as it goes.
import { parseArgs } from "node:util";
import { hashSchemeXxh3, type KvEvent } from "@stator/core";
import { createSelector } from "@stator/router/selector";
import { seededRandom } from "@stator/simulator/workload";

interface Sample {
  readonly requests: number;
  readonly rssMb: number;
  readonly heapMb: number;
  readonly indexedBlocks: number;
}

const WORKERS = 8;
const SHARED = 4;
const OWN = 12;
/** Prompts whose own blocks a worker keeps. */
const KEPT = 2_000;

export async function run(args: readonly string[]): Promise<unknown> {
  const { values } = parseArgs({
    args: [...args],
    options: { requests: { type: "string", default: "1000000" } },
  });
  const requests = Number(values.requests);
  const time = { ms: 0 };
  const selector = createSelector({ clock: { now: () => time.ms } });
  const random = seededRandom(5);
  const kept = Array.from({ length: WORKERS }, () => [] as BigUint64Array[]);
  const sequences = new BigUint64Array(WORKERS);
  for (let i = 0; i < WORKERS; i++) {
    const capacity = { requests: 256, kvBlocks: KEPT * OWN + 64 * SHARED, queue: 1024 };
    selector.addWorker(
      { id: `w${i}`, epoch: "1", role: "both", model: "m", capacity, ranks: 1, labels: {} },
      { blockTokens: 16, hashScheme: hashSchemeXxh3, adapters: [] },
    );
  }
  const samples: Sample[] = [];
  const sample = (done: number): void => {
    (globalThis as { gc?: () => void }).gc?.();
    const { rss, heapUsed } = process.memoryUsage();
    const indexedBlocks = selector.loads().reduce((sum, load) => sum + load.indexedBlocks, 0);
    samples.push({ requests: done, rssMb: toMb(rss), heapMb: toMb(heapUsed), indexedBlocks });
  };
  const started = process.cpuUsage();
  for (let i = 0; i < requests; i++) {
    if (i % Math.ceil(requests / 10) === 0) sample(i);
    const names = promptNames(random, i);
    const decision = selector.select({ names, promptTokens: names.length * 16 + 5 });
    const booking = selector.book(decision);
    const at = Number(booking.worker.slice(1));
    time.ms += 2;
    booking.prefilled({ cachedTokens: booking.cachedTokens });
    const events: KvEvent[] = [{ type: "stored", sequenceHashes: names, tier: "device", rank: 0 }];
    const mine = kept[at]!;
    mine.push(names);
    if (mine.length > KEPT) {
      const old = mine.shift()!;
      events.push({ type: "removed", sequenceHashes: old.slice(SHARED).reverse(), tier: "device", rank: 0 });
    }
    selector.observe({ worker: booking.worker, epoch: "1", sequence: ++sequences[at]!, events });
    booking.progress(64);
    booking.free();
  }
  sample(requests);
  const { user, system } = process.cpuUsage(started);
  const [, first, ...rest] = samples;
  return {
    requests,
    cpuUsPerRequest: Number(((user + system) / requests).toFixed(1)),
    /** From the second tenth, when caches are full, to the end. */
    grownMb: Number(((rest.at(-1)?.rssMb ?? 0) - (first?.rssMb ?? 0)).toFixed(1)),
    bookedAtEnd: selector.loads().reduce((sum, load) => sum + load.activeRequests, 0),
    samples,
  };
}

/** One of 64 shared heads, then blocks that nobody else has. */
function promptNames(random: () => number, serial: number): BigUint64Array {
  const head = Math.floor(random() * 64);
  const words = new Uint32Array(2 * (SHARED + OWN));
  for (let i = 0; i < SHARED + OWN; i++) {
    const number = i < SHARED ? head * SHARED + i + 1 : 1_000_000 + serial * OWN + i;
    words[2 * i] = mix(number) || 1;
    words[2 * i + 1] = mix(number ^ 0x9e3779b9);
  }
  return new BigUint64Array(words.buffer);
}

function mix(value: number): number {
  let hash = Math.imul(value ^ (value >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

function toMb(bytes: number): number {
  return Number((bytes / 2 ** 20).toFixed(1));
}
