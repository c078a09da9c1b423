import assert from "node:assert/strict";
import type { GenerateRequest } from "@stator/core";

import { batchesOf, type EngineCase, type EngineCaseContext } from "./engine-suite.ts";

const refuses =
  (
    kind: string,
    wrong: (context: EngineCaseContext, contextTokens: number) => Partial<GenerateRequest>,
  ): EngineCase["run"] =>
  async (context) => {
    const engine = await context.engine();
    const request = context.request(wrong(context, engine.card!.contextTokens));
    await assert.rejects(batchesOf(engine, request), { kind });
    assert.ok((await batchesOf(engine, context.request())).length > 0);
  };

export const refusalCases: readonly EngineCase[] = [
  {
    name: "refuses a prompt without tokens as invalid",
    run: refuses("invalid", () => ({ promptIds: new Uint32Array(0) })),
  },
  {
    name: "refuses a prompt that leaves no room as invalid",
    run: refuses("invalid", ({ fixture }, contextTokens) => ({
      promptIds: fixture.prompt(2, contextTokens),
    })),
  },
  {
    name: "never exceeds its context",
    async run({ engine, request, fixture }) {
      const one = await engine();
      const promptIds = fixture.prompt(3, one.card!.contextTokens - 5);
      const batches = await batchesOf(one, request({ promptIds }));
      assert.equal(
        batches.reduce((sum, { ids }) => sum + ids.length, 0),
        5,
      );
      assert.deepEqual(batches.at(-1)?.finish, { reason: "length" });
    },
  },
  {
    name: "refuses an adapter that it does not have",
    run: refuses("notFound", () => ({ adapter: "no such adapter" })),
  },
  {
    name: "serves the tokenizer of its card by digest, and nothing by another",
    async run({ engine }) {
      const one = await engine();
      if (one.artifact === undefined) return "it serves no artefacts";
      const options = { signal: new AbortController().signal };
      const bytes = await one.artifact(one.card!.tokenizer.digest, options);
      assert.equal(typeof JSON.parse(new TextDecoder().decode(bytes)), "object");
      await assert.rejects(one.artifact("no such digest", options));
    },
  },
];
