import { readFileSync } from "node:fs";
import { collectIds, createRequest } from "@stator/core";
import { createLlamaEngine, tinyModelPath } from "@stator/engines/llama";
import { createSimulatedEngine, linearStepTime } from "@stator/engines/simulated";
import { expect, test } from "vitest";

import { llamaIfPresent } from "../test/llama-capability.ts";

const isPresent = (await llamaIfPresent()) !== undefined;
const snippets = [
  ...readFileSync(new URL("../README.md", import.meta.url), "utf8").matchAll(/```ts\n([^]*?)```/g),
].map(([, code]) => code!.replace(/^import .*$/gm, ""));
const run = (code: string, names: Readonly<Record<string, unknown>>): Promise<unknown> => {
  const AsyncFunction = Object.getPrototypeOf(async () => {}).constructor as FunctionConstructor;
  return new AsyncFunction(...Object.keys(names), code)(...Object.values(names)) as Promise<unknown>;
};

test.skipIf(!isPresent)("the README's two engines say together what one alone would say", async () => {
  const said: unknown[] = [];
  const console = { log: (value: unknown) => said.push(value) };
  await run(snippets[0]!, { collectIds, createRequest, createLlamaEngine, tinyModelPath, console });
  const alone = await createLlamaEngine({ modelPath: tinyModelPath() });
  const promptIds = Uint32Array.from({ length: 40 }, (_, i) => 300 + i);
  expect(said).toEqual([await collectIds(alone, createRequest({ id: "1", model: "tiny", promptIds }))]);
  await alone.close();
});

test("the README's simulated engine runs", async () => {
  await run(snippets[1]!, { createSimulatedEngine, linearStepTime });
});
