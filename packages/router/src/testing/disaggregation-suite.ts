import { deepEqual, equal, ok } from "node:assert/strict";
import {
  createRequest,
  type Clock,
  type Engine,
  type GenerateRequest,
  type RequestEvent,
  type TokenBatch,
} from "@stator/core";

import { disaggregated, type DisaggregatedEngine } from "../disaggregated/disaggregated.ts";
import { always } from "../disaggregated/when.ts";
import { createPool, type ClosablePool } from "../pool/create-pool.ts";

/** Two engines of one connector, fresh for each case, and how to hurt the first. */
export interface DisaggregationFixture {
  readonly prefill: Engine;
  readonly decode: Engine;
  /** The same model alone: what the joined ones must equal. */
  readonly alone: Engine;
  readonly clock: Clock;
  /** Runs work to its end on this clock. */
  settle<T>(work: Promise<T>): Promise<T>;
  /** Prefill dies as its process would, once `after` ms of this clock have passed. */
  killPrefill(afterMs: number): void;
}

export interface DisaggregationCase {
  readonly name: string;
  run(fixture: DisaggregationFixture): Promise<void>;
}

interface Joined {
  readonly graph: DisaggregatedEngine;
  readonly pools: readonly ClosablePool[];
}

function join({ prefill, decode, clock }: DisaggregationFixture): Joined {
  const pools = [
    createPool({ workers: [prefill], clock, name: "prefill" }),
    createPool({ workers: [decode], clock, name: "decode" }),
  ] as const;
  return { pools, graph: disaggregated({ prefill: pools[0], decode: pools[1], when: always, clock }) };
}

async function ids(
  engine: Engine,
  request: GenerateRequest,
  signal: AbortSignal = new AbortController().signal,
  events: RequestEvent[] = [],
): Promise<{ readonly ids: readonly number[]; readonly finish: TokenBatch["finish"] }> {
  const all: number[] = [];
  let finish: TokenBatch["finish"];
  for await (const batch of engine.generate(request, { signal, onEvent: (event) => events.push(event) })) {
    equal(batch.ids.length === 0 ? all.length : batch.firstIndex, all.length, "indexes follow one another");
    all.push(...batch.ids);
    finish = batch.finish;
  }
  return { ids: all, finish };
}

const requestOf = (maxTokens: number): GenerateRequest =>
  createRequest({
    id: `handover-${maxTokens}`,
    model: "any",
    promptIds: Uint32Array.from({ length: 200 }, (_, i) => 32 + ((i * 11) % 90)),
    limits: { maxTokens },
  });

async function closeAll({ pools, graph }: Joined): Promise<void> {
  for (const pool of pools) {
    equal(pool.counts.booked, 0, "nothing stays booked");
    await pool.close();
  }
  equal(graph.counts.activePrefills, 0, "no prefill stays open");
}

/**
 * What every connector must keep, whatever its style: the text of one engine doing both, the budget's edges, a dead
 * prefill worker, a cancel at any moment. Bound to no test runner.
 */
export const disaggregationSuite: readonly DisaggregationCase[] = [
  ...[24, 2, 1].map((maxTokens): DisaggregationCase => ({
    name: `${maxTokens} tokens are those of one engine doing both`,
    async run(fixture) {
      const joined = join(fixture);
      const events: RequestEvent[] = [];
      const expected = await fixture.settle(ids(fixture.alone, requestOf(maxTokens)));
      const work = ids(joined.graph, requestOf(maxTokens), undefined, events);
      deepEqual(await fixture.settle(work), expected);
      if (maxTokens > 2)
        ok(
          events.some(({ type }) => type === "transferred"),
          "KV was handed over",
        );
      await closeAll(joined);
    },
  })),
  {
    name: "the prompt is computed at decode when prefill dies before its handoff",
    async run(fixture) {
      const joined = join(fixture);
      const expected = await fixture.settle(ids(fixture.alone, requestOf(24)));
      const work = ids(joined.graph, requestOf(24));
      fixture.killPrefill(1);
      deepEqual(await fixture.settle(work), expected);
      await closeAll(joined);
    },
  },
  ...[1, 20, 60, 120].map((atMs): DisaggregationCase => ({
    name: `a cancel at ${atMs} ms ends both sides`,
    async run(fixture) {
      const joined = join(fixture);
      const controller = new AbortController();
      const work = ids(joined.graph, requestOf(200), controller.signal).then(
        () => "finished",
        (error: { kind?: string }) => error.kind,
      );
      fixture.clock.schedule(atMs, () => controller.abort());
      equal(await fixture.settle(work), "cancelled");
      await closeAll(joined);
    },
  })),
];
