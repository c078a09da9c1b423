import { createRequest, sleep, type Clock, type TokenBatch } from "@stator/core";
import { expect, it } from "vitest";

import { createSimulatedEngine } from "./simulated-engine.ts";
import { linearStepTime } from "./steps/step-batch.ts";

/** A clock that jumps to the next timer whenever all promises have settled. */
function createJumpingClock(): Clock & { run(work: Promise<unknown>): Promise<void> } {
  const timers: { at: number; fn: () => void }[] = [];
  let now = 0;
  return {
    now: () => now,
    schedule(delayMs, fn) {
      const timer = { at: now + delayMs, fn };
      timers.push(timer);
      return { cancel: () => void timers.splice(timers.indexOf(timer), timers.includes(timer) ? 1 : 0) };
    },
    async run(work) {
      let isDone = false;
      void work.finally(() => (isDone = true));
      for (;;) {
        await new Promise((resolve) => setImmediate(resolve));
        if (isDone) return;
        timers.sort((a, b) => a.at - b.at);
        const next = timers.shift();
        if (next === undefined) throw new Error("Nothing is left that could happen.");
        now = Math.max(now, next.at);
        next.fn();
      }
    },
  };
}

async function timed(clock: Clock, stream: AsyncIterable<TokenBatch>): Promise<number[]> {
  const times: number[] = [];
  for await (const { ids } of stream) for (let i = 0; i < ids.length; i++) times.push(clock.now());
  return times;
}

it("takes exactly the step time on a virtual clock, prompts in chunks", async () => {
  const clock = createJumpingClock();
  const engine = createSimulatedEngine({
    clock,
    maxBatchedTokens: 100,
    stepTime: linearStepTime({ baseMs: 10, perSequenceMs: 1, perPrefillTokenMs: 0.1 }),
  });
  const request = createRequest({
    id: "r",
    model: "m",
    promptIds: new Uint32Array(250).fill(65),
    limits: { maxTokens: 4 },
  });
  const work = timed(clock, engine.generate(request, { signal: new AbortController().signal }));
  await clock.run(work);
  expect(await work).toEqual([55, 66, 77, 88]);
});

it("decodes on while a long prompt is computed, slowed by its chunks only", async () => {
  const clock = createJumpingClock();
  const stepTime = linearStepTime({ baseMs: 10, perPrefillTokenMs: 0.1 });
  const engine = createSimulatedEngine({ clock, maxBatchedTokens: 51, stepTime });
  const stream = (promptTokens: number, maxTokens: number): Promise<number[]> =>
    timed(
      clock,
      engine.generate(
        createRequest({
          id: "r",
          model: "m",
          promptIds: new Uint32Array(promptTokens).fill(65),
          limits: { maxTokens },
        }),
        { signal: new AbortController().signal },
      ),
    );
  const short = stream(10, 10);
  const long = stream(500, 1);
  await clock.run(Promise.all([short, long]));
  const times = await short;
  expect(Math.max(...times.slice(1).map((at, i) => at - times[i]!))).toBeLessThanOrEqual(15.1);
  expect((await long)[0]).toBeGreaterThan(times.at(-1)! - 30);
});

it("slows down by a factor, and while frozen tells the age of a step that does not end", async () => {
  const clock = createJumpingClock();
  const engine = createSimulatedEngine({ clock, stepTime: linearStepTime({ baseMs: 10 }) });
  const wanted = createRequest({
    id: "r",
    model: "m",
    promptIds: new Uint32Array(20).fill(65),
    limits: { maxTokens: 5 },
  });
  engine.slowDown(3);
  const slow = timed(clock, engine.generate(wanted, { signal: new AbortController().signal }));
  await clock.run(slow);
  expect(await slow).toEqual([30, 60, 90, 120, 150]);

  engine.slowDown(1);
  const seen: { step: number; stepAgeMs: number; running: number }[] = [];
  engine.onStatus(({ step, stepAgeMs, load }) => seen.push({ step, stepAgeMs, running: load.running }));
  engine.freeze();
  const frozen = timed(clock, engine.generate(wanted, { signal: new AbortController().signal }));
  clock.schedule(1_100, () => engine.thaw());
  await clock.run(frozen);
  const stuck = seen.filter(({ stepAgeMs }) => stepAgeMs > 0);
  expect(stuck.map(({ stepAgeMs }) => stepAgeMs)).toEqual([250, 500, 750, 1000]);
  expect(new Set(stuck.map(({ step, running }) => `${step} ${running}`))).toEqual(new Set(["5 1"]));
  expect(await frozen).toHaveLength(5);
});

it("holds handed-over KV for the length of its lease in the engine's own time", async () => {
  const clock = createJumpingClock();
  const stepTime = linearStepTime({ baseMs: 10 });
  const [prefill, decode] = [
    createSimulatedEngine({ clock, stepTime, leaseMs: 100 }),
    createSimulatedEngine({ clock, stepTime }),
  ];
  const promptIds = new Uint32Array(40).fill(65);
  const wanted = createRequest({ id: "r", model: "m", promptIds, limits: { maxTokens: 3 } });
  const handOver = async (waitMs: number): Promise<number> => {
    let tokens = 0;
    for await (const { handoff } of prefill.generate(
      { ...wanted, mode: "prefill" },
      { signal: new AbortController().signal },
    )) {
      await sleep(clock, waitMs);
      const request = { ...wanted, handoff: handoff!, outputIds: Uint32Array.from(handoff!.firstIds) };
      for await (const { ids } of decode.generate(request, { signal: new AbortController().signal }))
        tokens += ids.length;
    }
    return tokens;
  };
  const [inTime, late] = [handOver(50), handOver(200).catch((error: unknown) => error)];
  await clock.run(Promise.all([inTime, late]));
  expect(await inTime).toBe(2);
  expect(await late).toMatchObject({ code: "ENGINES_HANDOFF_FAILED" });
});
