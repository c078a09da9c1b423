import assert from "node:assert/strict";
import type { Sampling, TokenLogprob } from "@stator/core";

import { batchesOf, idsOf, type EngineCase } from "./engine-suite.ts";

const sampled: Sampling = {
  temperature: 0.9,
  topP: 0.9,
  topK: 20,
  minP: 0.01,
  seed: 0x1234_5678_9abc_def0n,
  presencePenalty: 0.5,
  frequencyPenalty: 0.3,
  repetitionPenalty: 1,
};

/** Kernels for one and for many tokens add up in another order: equal means equal to 1e-4. */
function assertSameLogprobs(actual: readonly TokenLogprob[], expected: readonly TokenLogprob[]): void {
  const flat = (all: readonly TokenLogprob[]): number[] =>
    all.flatMap(({ logprob, top }) => [logprob, ...top.flatMap((each) => [each.id, each.logprob])]);
  const [ours, theirs] = [flat(actual), flat(expected)];
  assert.equal(ours.length, theirs.length);
  for (const [i, value] of ours.entries())
    assert.ok(Math.abs(value - theirs[i]!) < 1e-4, `${value} is not ${theirs[i]}`);
}

export const generationCases: readonly EngineCase[] = [
  {
    name: "yields ids in index order and ends with the only batch that carries finish",
    async run({ engine, request }) {
      const batches = await batchesOf(await engine(), request());
      let index = 0;
      for (const [i, batch] of batches.entries()) {
        assert.equal(batch.firstIndex, index);
        assert.equal(batch.finish !== undefined, i === batches.length - 1);
        index += batch.ids.length;
      }
      assert.equal(index, 24);
      assert.deepEqual(batches.at(-1)?.finish, { reason: "length" });
    },
  },
  {
    name: "runs many requests at once, each as if alone",
    async run({ engine, request, fixture }) {
      const one = await engine();
      if (one.card?.batchInvariant !== true) return "its card does not say batchInvariant";
      const requests = Array.from({ length: 8 }, (_, i) =>
        request({ id: `${i}`, promptIds: fixture.prompt(10 + i, 30 + i) }),
      );
      const together = await Promise.all(requests.map((each) => batchesOf(one, each)));
      const other = await engine();
      for (const [i, batches] of together.entries())
        assert.deepEqual(idsOf(batches), idsOf(await batchesOf(other, requests[i]!)));
    },
  },
  {
    name: "ends with a stop id, which it yields",
    async run({ engine, request }) {
      const one = await engine();
      const ids = idsOf(await batchesOf(one, request()));
      const stopId = ids[10]!;
      const stopped = await batchesOf(
        one,
        request({ limits: { maxTokens: 24, ignoreEos: true, stopIds: [stopId] } }),
      );
      if (one.card?.batchInvariant === true)
        assert.deepEqual(idsOf(stopped), ids.slice(0, ids.indexOf(stopId) + 1));
      assert.deepEqual(stopped.at(-1)?.finish, { reason: "stop", stopId });
    },
  },
  {
    name: "goes on from outputIds at their index, greedy",
    async run({ engine, request }) {
      const [one, other] = [await engine(), await engine()];
      if (one.card?.batchInvariant !== true) return "its card does not say batchInvariant";
      const ids = idsOf(await batchesOf(one, request()));
      for (const cut of [1, 8, 23]) {
        const rest = await batchesOf(other, request({ outputIds: Uint32Array.from(ids.slice(0, cut)) }));
        assert.equal(rest[0]?.firstIndex, cut);
        assert.deepEqual(idsOf(rest), ids.slice(cut));
      }
    },
  },
  {
    name: "goes on with the same draws, penalties and log probabilities",
    async run({ engine, request }) {
      const [one, other] = [await engine(), await engine()];
      const { resume, batchInvariant } = one.card!;
      if (!resume.rng || !resume.penalties || !batchInvariant) return "its card does not claim that resume";
      const init = { sampling: sampled, ...(resume.logprobs ? { topLogprobs: 2 } : {}) };
      const whole = await batchesOf(one, request(init));
      const logprobs = whole.flatMap((batch) => batch.logprobs ?? []);
      for (const cut of [1, 13]) {
        const outputIds = Uint32Array.from(idsOf(whole).slice(0, cut));
        const rest = await batchesOf(other, request({ ...init, outputIds }));
        assert.deepEqual(idsOf(rest), idsOf(whole).slice(cut));
        assertSameLogprobs(
          rest.flatMap((batch) => batch.logprobs ?? []),
          logprobs.slice(cut),
        );
      }
    },
  },
  {
    name: "ends at once when the outputs so far have used the budget",
    async run({ engine, request }) {
      const one = await engine();
      const ids = idsOf(await batchesOf(one, request()));
      const rest = await batchesOf(one, request({ outputIds: Uint32Array.from(ids) }));
      assert.deepEqual(idsOf(rest), []);
      assert.deepEqual(rest.at(-1)?.finish, { reason: "length" });
    },
  },
  {
    name: "rejects with kind cancelled when, and only when, its signal is aborted, and serves on",
    async run({ engine, request }) {
      const one = await engine();
      const before = AbortSignal.abort(new Error("early"));
      const early = async (): Promise<void> => {
        for await (const _ of one.generate(request(), { signal: before }))
          assert.fail("it yielded after an abort");
      };
      await assert.rejects(early, { kind: "cancelled" });
      const controller = new AbortController();
      const late = async (): Promise<void> => {
        const long = request({ limits: { maxTokens: 200, ignoreEos: true } });
        for await (const _ of one.generate(long, { signal: controller.signal }))
          controller.abort(new Error("late"));
      };
      await assert.rejects(late, { kind: "cancelled" });
      assert.equal(idsOf(await batchesOf(one, request())).length, 24);
    },
  },
  {
    name: "stops working when its caller stops pulling",
    async run({ engine, request }) {
      const one = await engine();
      if (one.onStatus === undefined) return "it reports no status";
      let running = 0;
      one.onStatus(({ load }) => (running = load.running));
      const long = request({ limits: { maxTokens: 200, ignoreEos: true } });
      for await (const batch of one.generate(long, { signal: new AbortController().signal }))
        if (batch.ids.length > 0) break;
      await batchesOf(one, request());
      const deadline = performance.now() + 5_000;
      while (running > 0 && performance.now() < deadline)
        await new Promise((resolve) => setTimeout(resolve, 5));
      assert.equal(running, 0);
    },
  },
];
