import { createRequest, createVirtualClock, StatorError, type Engine } from "@stator/core";
import { describe, expect, it } from "vitest";
import { admitting, type AdmittingOptions } from "./admitting.ts";

function rig(options: AdmittingOptions): {
  clock: ReturnType<typeof createVirtualClock>;
  engine: ReturnType<typeof admitting>;
  run: (priority?: number, signal?: AbortSignal) => Promise<string>;
  order: string[];
} {
  const clock = createVirtualClock();
  const inner: Engine = {
    card: undefined,
    async *generate(request) {
      await new Promise<void>((resolve) => clock.schedule(100, resolve));
      if (request.id === "r13") throw new StatorError({ code: "X", kind: "invalid", message: "x" });
      yield { firstIndex: 0, ids: [1], finish: { reason: "stop" } };
    },
  };
  const engine = admitting(inner, { clock, ...options });
  const order: string[] = [];
  let next = 0;
  return {
    clock,
    engine,
    order,
    async run(priority = 0, signal = new AbortController().signal) {
      const request = createRequest({
        id: `r${next++}`,
        model: "m",
        promptIds: new Uint32Array(10),
        priority,
        limits: { maxTokens: 10 },
      });
      try {
        for await (const _batch of engine.generate(request, { signal }));
        order.push(request.id);
        return "ok";
      } catch (error) {
        return StatorError.from(error).code;
      }
    },
  };
}
const empty = { running: 0, runningTokens: 0, waiting: 0 };

describe("admission", () => {
  it("runs so many at once, lets some wait, refuses the rest with a time to come back", async () => {
    const { clock, engine, run } = rig({ running: 2, waiting: 3 });
    const runs = Array.from({ length: 8 }, () => run());
    await clock.pass(1);
    expect(engine.counts).toEqual({ running: 2, runningTokens: 40, waiting: 3, refused: 3 });
    const ends = await clock.run(Promise.all(runs));
    expect(ends.filter((end) => end === "ok")).toHaveLength(5);
    expect(ends.filter((end) => end === "ROUTER_OVERLOADED")).toHaveLength(3);
    expect(engine.counts).toMatchObject(empty);
    // Recovered at once: nothing of the overload is remembered.
    expect(await clock.run(run())).toBe("ok");
  });

  it("bounds tokens, and lets a request larger than the bound run alone", async () => {
    const { clock, engine, run } = rig({ running: 8, runningTokens: 45 });
    const runs = Array.from({ length: 4 }, () => run());
    await clock.pass(1);
    expect(engine.counts).toMatchObject({ running: 2, waiting: 2 });
    await clock.run(Promise.all(runs));
    const small = rig({ running: 8, runningTokens: 5 });
    expect(await small.clock.run(small.run())).toBe("ok");
  });

  it("serves by priority, then by arrival", async () => {
    const { clock, run, order } = rig({ running: 1 });
    await clock.run(Promise.all([run(), run(), run(5), run()]));
    expect(order).toEqual(["r0", "r2", "r1", "r3"]);
  });

  it("gives the place back on every path", async () => {
    const { clock, engine, run } = rig({ running: 1, waiting: 20 });
    const controller = new AbortController();
    const runs = Array.from({ length: 16 }, (_, i) => run(0, i % 3 === 1 ? controller.signal : undefined));
    clock.schedule(150, () => controller.abort());
    const ends = await clock.run(Promise.all(runs));
    expect(ends).toContain("CORE_CANCELLED");
    expect(ends[13]).toMatch(/X|CORE_CANCELLED/);
    expect(engine.counts).toMatchObject(empty);
    expect(() => admitting(engine, { running: 0 })).toThrow(/running/);
  });

  it("ends the wait by its bound", async () => {
    const { clock, run } = rig({ running: 1, waiting: 50, deadlines: { queueWaitMs: 250 } });
    const ends = await clock.run(Promise.all(Array.from({ length: 6 }, () => run())));
    expect(ends).toEqual(["ok", "ok", "ok", "ROUTER_OVERLOADED", "ROUTER_OVERLOADED", "ROUTER_OVERLOADED"]);
  });
});
