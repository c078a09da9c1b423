import { hashSchemeXxh3, type KvEvent, type Worker } from "@stator/core";
import { describe, expect, test } from "vitest";

import { createSelector } from "./create-selector.ts";
import { seededRandom } from "./random.ts";
import type { Selector } from "./selector.ts";

const worker: Worker = {
  id: "a",
  epoch: "1",
  role: "both",
  model: "m",
  capacity: { requests: 16, kvBlocks: 10_000, queue: 64 },
  ranks: 2,
  labels: {},
};
const card = { blockTokens: 16, hashScheme: hashSchemeXxh3 };

function create(): Selector {
  const selector = createSelector({ clock: { now: () => 0 } });
  selector.addWorker(worker, card);
  return selector;
}

/** Chains that branch off from one another, named as a router would. */
function forestOf(random: () => number, chains: number): bigint[][] {
  const forest: bigint[][] = [];
  let next = 1n;
  for (let c = 0; c < chains; c++) {
    const from = forest[Math.floor(random() * forest.length)] ?? [];
    const path = from.slice(0, Math.floor(random() * (from.length + 1)));
    const length = path.length + 1 + Math.floor(random() * 40);
    while (path.length < length) path.push(BigInt.asUintN(64, next++ * 0x9e3779b97f4a7c15n) | 1n);
    forest.push(path);
  }
  return forest;
}

function randomEvent(random: () => number, forest: readonly bigint[][]): KvEvent {
  const rank = random() < 0.5 ? 0 : 1;
  const tier = random() < 0.7 ? "device" : "host";
  const path = forest[Math.floor(random() * forest.length)]!;
  const dice = random();
  if (dice < 0.001) return { type: "cleared", rank };
  const from = random() < 0.7 ? 0 : Math.floor(random() * path.length);
  const sequenceHashes = BigUint64Array.from(path.slice(from, from + 1 + Math.floor(random() * path.length)));
  if (dice > 0.55) return { type: "removed", sequenceHashes, tier, rank };
  const parent = from === 0 ? {} : { parent: path[from - 1]! };
  return { type: "stored", sequenceHashes, tier, rank, ...parent };
}

describe("a snapshot that is taken in steps", () => {
  test.each([1, 2, 3, 4, 5, 6, 7, 8])(
    "tells what is held at its end, whatever is applied between them (seed %i)",
    (seed) => {
      const random = seededRandom(seed);
      const forest = forestOf(random, 400);
      const selector = create();
      let sequence = 0n;
      const apply = (count: number): void => {
        for (let i = 0; i < count; i++) {
          const events = Array.from({ length: 1 + Math.floor(random() * 4) }, () =>
            randomEvent(random, forest),
          );
          selector.observe({ worker: "a", epoch: "1", sequence: (sequence += 1n), events });
        }
      };
      apply(2_000);
      const steps = selector.dumpSteps("a");
      let taken = 0;
      for (let step = steps.next(); ; step = steps.next(), taken++) {
        if (step.done === true) {
          const other = create();
          expect(other.observe(step.value!)).toBe("applied");
          expect(other.nextSequence("a")).toBe(selector.nextSequence("a"));
          for (const path of forest)
            expect(other.holdings(BigUint64Array.from(path))).toEqual(
              selector.holdings(BigUint64Array.from(path)),
            );
          break;
        }
        apply(Math.floor(random() * 60));
      }
      expect(taken).toBeGreaterThan(1);
    },
  );

  test("is taken anew where more is applied than it follows", () => {
    const selector = create();
    const name = (i: number): BigUint64Array =>
      BigUint64Array.of(BigInt.asUintN(64, BigInt(i + 1) * 0x9e3779b97f4a7c15n));
    const stored = (i: number): KvEvent => ({
      type: "stored",
      sequenceHashes: name(i),
      tier: "device",
      rank: 0,
    });
    const apply = (sequence: bigint, from: number, count: number): void => {
      const events = Array.from({ length: count }, (_, i) => stored(from + i));
      expect(selector.observe({ worker: "a", epoch: "1", sequence, events })).toBe("applied");
    };
    apply(1n, 0, 10);
    const steps = selector.dumpSteps("a");
    steps.next();
    apply(2n, 10, 70_000);
    let step = steps.next();
    while (step.done !== true) step = steps.next();
    const other = create();
    other.observe(step.value!);
    for (const i of [0, 9, 10, 70_009]) expect(other.holdings(name(i))).toHaveLength(1);
    expect(other.nextSequence("a")).toBe(3n);
  });

  test("ends without a result when its worker leaves meanwhile", () => {
    const selector = create();
    selector.observe({
      worker: "a",
      epoch: "1",
      sequence: 1n,
      events: [{ type: "stored", sequenceHashes: BigUint64Array.of(1n, 3n), tier: "device", rank: 0 }],
    });
    const steps = selector.dumpSteps("a");
    expect(steps.next().done).toBe(false);
    selector.removeWorker("a", "1");
    expect(steps.next()).toEqual({ done: true, value: undefined });
  });
});
