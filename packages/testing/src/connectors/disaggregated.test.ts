import {
  createRequest,
  createVirtualClock,
  StatorError,
  type ConnectorStyle,
  type Engine,
  type GenerateRequest,
  type VirtualClock,
} from "@stator/core";
import {
  createLoopback,
  createSimulatedEngine,
  linearStepTime,
  type SimulatedEngine,
} from "@stator/engines/simulated";
import {
  always,
  createPool,
  disaggregated,
  migrating,
  uncachedTokensAbove,
  type ClosablePool,
  type DisaggregatedEngine,
} from "@stator/router";
import { disaggregationSuite } from "@stator/router/testing";
import { describe, expect, it } from "vitest";
import { collect, createEventLog } from "../collect/collect.ts";
import { createMeetingPlace, styledEngine } from "./styled-engine.ts";

interface Rig {
  readonly clock: VirtualClock;
  readonly graph: DisaggregatedEngine;
  readonly prefills: SimulatedEngine[];
  readonly decodes: SimulatedEngine[];
  readonly prefill: ClosablePool;
  readonly decode: ClosablePool;
  /** Everything that may leak. */
  held(): Promise<Record<string, number>>;
}

function rig(style: ConnectorStyle, over: { breakTransfer?: boolean } = {}): Rig {
  const clock = createVirtualClock();
  const loopback = createLoopback({ clock });
  let isBroken = over.breakTransfer === true;
  const transfer = {
    source: loopback.source,
    sink: {
      fetch: (...args: Parameters<typeof loopback.sink.fetch>) => {
        if (!isBroken) return loopback.sink.fetch(...args);
        isBroken = false;
        return Promise.reject(
          new StatorError({ code: "TRANSFER_PEER_LOST", kind: "unavailable", message: "The peer is gone." }),
        );
      },
    },
  };
  const engine = (worker: string): SimulatedEngine =>
    createSimulatedEngine({
      worker,
      clock,
      transfer,
      onHandoffFailure: "fail",
      stepTime: linearStepTime({ baseMs: 10, perPrefillTokenMs: 0.2 }),
    });
  const place = createMeetingPlace();
  const prefills = ["p0", "p1"].map(engine);
  const decodes = ["d0", "d1"].map(engine);
  const styled = (engines: SimulatedEngine[]): Engine[] =>
    engines.map((one) => styledEngine(one, style, place));
  const prefill = createPool({ workers: styled(prefills), clock, name: "prefill" });
  const decode = createPool({ workers: styled(decodes), clock, name: "decode" });
  return {
    clock,
    prefills,
    decodes,
    prefill,
    decode,
    graph: disaggregated({ prefill, decode, when: always, clock }),
    async held() {
      await clock.pass(30);
      return {
        prefill: prefill.counts.booked,
        decode: decode.counts.booked,
        blocks: [...prefills, ...decodes].reduce((sum, one) => sum + one.usedBlocks(), 0),
      };
    },
  };
}

const request = (over: Partial<GenerateRequest> = {}): GenerateRequest =>
  createRequest({
    id: "r",
    model: "simulated",
    promptIds: Uint32Array.from({ length: 300 }, (_, i) => 32 + ((i * 11) % 90)),
    limits: { maxTokens: 24 },
    topLogprobs: 1,
    ...over,
  });
const undisturbed = (one: GenerateRequest): ReturnType<typeof collect> =>
  collect(createSimulatedEngine(), one);
const nothing = { prefill: 0, decode: 0, blocks: 0 };

describe.each(["sequential", "rendezvous", "addressed"] as const)("the suite of connectors, %s", (style) => {
  it.each(disaggregationSuite)("$name", async ({ run }) => {
    const clock = createVirtualClock();
    const place = createMeetingPlace();
    const pace = linearStepTime({ baseMs: 10, perPrefillTokenMs: 0.2 });
    const engine = (): SimulatedEngine => createSimulatedEngine({ clock, stepTime: pace });
    const prefill = engine();
    await run({
      clock,
      prefill: styledEngine(prefill, style, place),
      decode: styledEngine(engine(), style, place),
      alone: engine(),
      settle: (work) => clock.run(work),
      killPrefill: (afterMs) => void clock.schedule(afterMs, () => prefill.crash()),
    });
  });
});

describe.each(["sequential", "rendezvous", "addressed"] as const)(
  "disaggregation over a %s connector",
  (style) => {
    it("gives the text of one worker doing both, and leaves nothing held", async () => {
      const { clock, graph, held } = rig(style);
      const log = createEventLog();
      expect(await clock.run(collect(graph, request(), log))).toEqual(await undisturbed(request()));
      expect(log.of("transferred")).toHaveLength(1);
      expect(graph.counts).toMatchObject({ handedOver: 1, fallbacks: 0, activePrefills: 0 });
      expect(await held()).toEqual(nothing);
    });

    it.each([1, 2])("ends after %i tokens where the budget says so", async (maxTokens) => {
      const { clock, graph, held } = rig(style);
      const short = request({ limits: { maxTokens } });
      expect(await clock.run(collect(graph, short))).toEqual(await undisturbed(short));
      expect(await held()).toEqual(nothing);
    });

    it("prefills locally when the prefill worker dies before the handoff", async () => {
      const { clock, graph, prefills, held } = rig(style);
      const run = collect(graph, request());
      clock.schedule(30, () => prefills[0]!.crash());
      expect(await clock.run(run)).toEqual(await undisturbed(request()));
      expect(graph.counts).toMatchObject({ handedOver: 0, fallbacks: 1, activePrefills: 0 });
      expect(await held()).toEqual(nothing);
    });

    it("goes on undisturbed when the prefill worker dies after the transfer", async () => {
      const { clock, graph, prefills, held } = rig(style);
      const run = collect(graph, request());
      clock.schedule(150, () => prefills[0]!.crash());
      expect(await clock.run(run)).toEqual(await undisturbed(request()));
      expect(graph.counts).toMatchObject({ handedOver: 1, fallbacks: 0 });
      expect(await held()).toEqual(nothing);
    });

    it("prefills locally when the transfer fails, and blames no decode worker", async () => {
      const { clock, graph, decode, held } = rig(style, { breakTransfer: true });
      expect(await clock.run(collect(graph, request()))).toEqual(await undisturbed(request()));
      expect(graph.counts.fallbacks).toBe(1);
      expect(await held()).toEqual(nothing);
      // Both decode workers still take work: another request is not refused or delayed.
      expect(await clock.run(collect(graph, request({ id: "s" })))).toEqual(await undisturbed(request()));
      expect(decode.counts.booked).toBe(0);
    });

    it("runs without any prefill worker, and disaggregates again when one is back", async () => {
      const { clock, graph, prefills, held } = rig(style);
      for (const one of prefills) one.crash();
      await clock.pass(10);
      expect(await clock.run(collect(graph, request()))).toEqual(await undisturbed(request()));
      expect(graph.counts.fallbacks).toBe(1);
      for (const one of prefills) one.restart();
      await clock.pass(10);
      const log = createEventLog();
      const other = request({
        id: "s",
        promptIds: Uint32Array.from({ length: 300 }, (_, i) => 40 + ((i * 13) % 80)),
      });
      expect(await clock.run(collect(graph, other, log))).toEqual(await undisturbed(other));
      expect(log.of("transferred")).toHaveLength(1);
      expect(await held()).toEqual(nothing);
    });

    it.each([5, 40, 75, 95, 150])(
      "cancels both sides at %i ms and holds nothing afterwards",
      async (atMs) => {
        const { clock, graph, held } = rig(style);
        const controller = new AbortController();
        const run = collect(graph, request(), { signal: controller.signal });
        clock.schedule(atMs, () => controller.abort());
        await expect(clock.run(run)).rejects.toMatchObject({ kind: "cancelled" });
        expect(graph.counts.activePrefills).toBe(0);
        expect(await held()).toEqual(nothing);
      },
    );

    it("gives up a decode worker's silence after the handoff by a deadline of its own", async () => {
      const { clock, graph, decodes, prefills } = rig(style);
      const run = collect(graph, request());
      // Both hang while the KV is on its way; one comes back before the deadline's fallback needs it.
      const hang = (): void => decodes.forEach((one) => one.freeze());
      hang();
      clock.schedule(4_000, () => decodes.forEach((one) => one.thaw()));
      expect(prefills).toHaveLength(2);
      const result = await clock.run(
        run.then(
          (ok) => ok.ids.length,
          (error: StatorError) => error.code,
        ),
        60_000,
      );
      expect([24, "ROUTER_ATTEMPT_FAILED"]).toContain(result);
    });

    it("leaves a caller's fault to the caller", async () => {
      const { clock, graph, held } = rig(style);
      const bad = request({ promptIds: new Uint32Array(0) });
      await expect(clock.run(collect(graph, bad))).rejects.toMatchObject({ kind: "invalid" });
      expect(await held()).toEqual(nothing);
    });
  },
);

it("decode tells prefill's first id where the connector says so", async () => {
  const clock = createVirtualClock();
  const place = createMeetingPlace();
  const engine = (): Engine => styledEngine(createSimulatedEngine({ clock }), "rendezvous", place, "decode");
  const graph = disaggregated({ prefill: engine(), decode: engine(), when: always, clock });
  const { topLogprobs: _ofTheFirst, ...plain } = request();
  expect(await clock.run(collect(graph, plain))).toEqual(await undisturbed(plain));
  expect(place.left).toBe(0);
});

it("gives up a decode engine without giving up the prefill engine that stands at the same place of its own pool", async () => {
  const clock = createVirtualClock();
  const engine = (worker: string): SimulatedEngine =>
    createSimulatedEngine({
      worker,
      clock,
      stepTime: linearStepTime({ baseMs: 10, perPrefillTokenMs: 0.2 }),
    });
  const [p, d0, d1] = [engine("p"), engine("d0"), engine("d1")];
  const decode = createPool({ workers: [d0, d1], clock });
  const joined = disaggregated({ prefill: createPool({ workers: [p], clock }), decode, when: always, clock });
  const graph = migrating(joined, { clock });
  const log = createEventLog();
  d1.crash();
  await clock.pass(10);
  const run = collect(graph, request(), log);
  clock.schedule(150, () => {
    d1.restart();
    d0.crash();
  });
  expect(await clock.run(run)).toEqual(await undisturbed(request()));
  expect(log.of("migrated")).toMatchObject([{ outcome: "resumed" }]);
  // The prompt is computed by the only prefill engine again, which never failed.
  expect(joined.counts).toMatchObject({ handedOver: 2, fallbacks: 0 });
});

it("knows an engine of two pools as one worker", async () => {
  const clock = createVirtualClock();
  const both = createSimulatedEngine({ clock });
  const workers: string[] = [];
  for (const name of ["a", "b"]) {
    const pool = createPool({ workers: [both], clock, name });
    await clock.run(
      collect(pool, request(), { onEvent: (event) => event.type === "routed" && workers.push(event.worker) }),
    );
    await pool.close();
  }
  const other = createPool({ workers: [createSimulatedEngine({ clock })], clock });
  const place = await other.reserve(request(), { signal: new AbortController().signal });
  expect(workers[0]).toBe(workers[1]);
  expect(place.worker).not.toBe(workers[0]);
  place.release();
});

describe("which requests are disaggregated", () => {
  it("those with more uncached tokens than the threshold, which is read anew each time", async () => {
    const { clock, prefill, decode } = rig("sequential");
    let threshold = 1_000;
    const graph = disaggregated({
      prefill,
      decode,
      clock,
      when: (input) => uncachedTokensAbove(threshold)(input),
    });
    await clock.run(collect(graph, request()));
    expect(graph.counts).toMatchObject({ direct: 1, handedOver: 0 });
    threshold = 100;
    // Cached now where it was computed: nothing to disaggregate.
    await clock.run(collect(graph, request({ id: "again" })));
    expect(graph.counts).toMatchObject({ direct: 2, handedOver: 0 });
    await clock.run(
      collect(
        graph,
        request({ id: "new", promptIds: Uint32Array.from({ length: 300 }, (_, i) => 33 + ((i * 17) % 80)) }),
      ),
    );
    expect(graph.counts).toMatchObject({ direct: 2, handedOver: 1 });
  });

  it("no pair that differs in KV layout", async () => {
    const clock = createVirtualClock();
    const a = createSimulatedEngine({ clock, weightsSeed: 0 });
    const b = createSimulatedEngine({ clock, weightsSeed: 1 });
    const graph = disaggregated({ prefill: a, decode: b, when: always, clock });
    const alone = await collect(createSimulatedEngine({ weightsSeed: 1 }), request());
    expect(await clock.run(collect(graph, request()))).toEqual(alone);
    expect(graph.counts).toMatchObject({ fallbacks: 1, handedOver: 0 });
  });
});
