import assert from "node:assert/strict";
import { nameBlocks } from "@stator/core";

import { batchesOf, idsOf, type EngineCase } from "./engine-suite.ts";
import { heldBlocks, heldBySnapshot } from "./held-blocks.ts";

export const kvCases: readonly EngineCase[] = [
  {
    name: "reuses a prompt's KV and says how many tokens it did not compute",
    async run({ engine, request, fixture }) {
      const one = await engine();
      if (one.snapshot === undefined) return "it tells nothing of its KV";
      const { blockTokens } = one.card!;
      const promptIds = fixture.prompt(4, 3 * blockTokens + 5);
      const [cold] = await batchesOf(one, request({ promptIds }));
      assert.equal(cold?.cachedTokens ?? 0, 0);
      assert.ok((one.estimate?.(request({ promptIds }))?.cachedTokens ?? Infinity) >= 3 * blockTokens);
      const [warm] = await batchesOf(one, request({ promptIds }));
      assert.ok(warm!.cachedTokens! >= 3 * blockTokens);
      const [salted] = await batchesOf(one, request({ promptIds, tenantSalt: "another tenant" }));
      assert.equal(salted?.cachedTokens ?? 0, 0);
    },
  },
  {
    name: "names in its events exactly the blocks that its snapshot has and that it does not compute again",
    async run({ engine, request, fixture }) {
      const one = await engine();
      if (one.snapshot === undefined || one.onStatus === undefined) return "it tells nothing of its KV";
      const { blockTokens } = one.card!;
      const held = heldBlocks(one);
      for (let i = 0; i < 12; i++) {
        const promptIds = fixture.prompt(20 + (i % 5), 4 * blockTokens + 3);
        assert.deepEqual(heldBySnapshot(one.snapshot()), held.all);
        let promised = 0;
        for (const name of nameBlocks(promptIds, { blockTokens })) {
          if (!held.has(name)) break;
          promised++;
        }
        const [first] = await batchesOf(one, request({ promptIds }));
        assert.ok((first?.cachedTokens ?? 0) >= promised * blockTokens);
      }
    },
  },
  {
    name: "hands KV over to another engine of its kind, which goes on as one engine would",
    async run({ engine, request, fixture }) {
      const [prefill, decode, whole] = [await engine(), await engine(), await engine()];
      const { card } = prefill;
      if (card?.connectors.some(({ style }) => style === "sequential") !== true)
        return "its card has no sequential connector";
      const { blockTokens, batchInvariant } = card;
      for (const tokens of [3, 2 * blockTokens, 5 * blockTokens + 7]) {
        const promptIds = fixture.prompt(60 + tokens, tokens);
        const [first, ...more] = await batchesOf(prefill, request({ promptIds, mode: "prefill" }));
        assert.equal(more.length, 0);
        const handoff = first!.handoff!;
        assert.equal(handoff.compatibilityDigest, card.kvLayoutDigest);
        const outputIds =
          handoff.firstEmittedBy === "nobody" ? new Uint32Array(0) : Uint32Array.from(handoff.firstIds);
        const rest = await batchesOf(decode, request({ promptIds, handoff, outputIds }));
        // Servers that sample the first token anew compute the last prompt token again, and some do not tell.
        const told = rest.find(({ cachedTokens }) => cachedTokens !== undefined)?.cachedTokens;
        const least = handoff.heldTokens - (handoff.firstEmittedBy === "nobody" ? 1 : 0);
        if (told !== undefined || decode.snapshot !== undefined) assert.ok((told ?? 0) >= least);
        if (batchInvariant)
          assert.deepEqual(
            [...outputIds, ...idsOf(rest)],
            idsOf(await batchesOf(whole, request({ promptIds }))),
          );
      }
    },
  },
  {
    name: "gives no handoff when the first token ends the request",
    async run({ engine, request }) {
      const one = await engine();
      if (one.card!.connectors.length === 0) return "its card has no connector";
      const batches = await batchesOf(one, request({ mode: "prefill", limits: { maxTokens: 1 } }));
      assert.equal(batches.at(-1)?.handoff, undefined);
      assert.equal(idsOf(batches).length, 1);
      assert.notEqual(batches.at(-1)?.finish, undefined);
    },
  },
  {
    name: "refuses KV of another layout, never takes that of another prompt, and serves on",
    async run({ engine, request, fixture }) {
      const [prefill, decode] = [await engine(), await engine()];
      if (prefill.card!.connectors.every(({ style }) => style !== "sequential"))
        return "its card has no sequential connector";
      const promptIds = fixture.prompt(80, 70);
      const prefilled = async () =>
        (await batchesOf(prefill, request({ promptIds, mode: "prefill" })))[0]!.handoff!;
      const foreign = { ...(await prefilled()), compatibilityDigest: "another layout" };
      await assert.rejects(batchesOf(decode, request({ promptIds, handoff: foreign })), {
        kind: "incompatible",
      });
      const other = fixture.prompt(81, 70);
      // Refused, or computed anew: never the other prompt's text.
      const foreigner = request({ promptIds: other, handoff: await prefilled() });
      const told = await batchesOf(decode, foreigner).then(idsOf, () => undefined);
      if (told !== undefined && decode.card!.batchInvariant)
        assert.deepEqual(told, idsOf(await batchesOf(prefill, request({ promptIds: other }))));
      assert.equal(idsOf(await batchesOf(decode, request({ promptIds }))).length, 24);
    },
  },
  {
    name: "lets KV go when its handoff is abandoned, or accounts for what it cannot free",
    async run({ engine, request }) {
      const [prefill, decode] = [await engine(), await engine()];
      if (prefill.releaseHandoff === undefined || prefill.card!.connectors.length === 0)
        return "it holds no handoffs";
      const [first] = await batchesOf(prefill, request({ mode: "prefill" }));
      const handoff = first!.handoff!;
      prefill.renewHandoff?.(handoff);
      let leaked = 0;
      prefill.onStatus?.(({ load }) => (leaked = load.kvBlocksLeaked ?? 0));
      prefill.releaseHandoff(handoff, "abandoned");
      prefill.releaseHandoff(handoff, "abandoned");
      if (leaked > 0) {
        assert.equal(leaked, Math.ceil(handoff.heldTokens / prefill.card!.blockTokens));
        return;
      }
      await assert.rejects(
        batchesOf(decode, request({ handoff, outputIds: Uint32Array.from(handoff.firstIds) })),
      );
    },
  },
];
