import {
  createRequest,
  defineEngine,
  type Engine,
  type EngineFunction,
  type TokenBatch,
  type WorkerHandle,
  type WorkerSource,
} from "@stator/core";
import { createRuntime } from "@stator/runtime";
import { expect, test } from "vitest";

const tokenizer = { json: "{}", digest: "d", specialIds: { eos: [0] } };

export function engineOf(run: EngineFunction): Engine {
  return defineEngine({ model: "m", contextTokens: 100_000, tokenizer }, run);
}

/** Yields the prompt's ids, one at a time, a loop turn each. */
const echo = engineOf(async function* (request) {
  for (const id of request.promptIds.subarray(request.outputIds.length)) {
    await new Promise((resolve) => setImmediate(resolve));
    yield { ids: [id] };
  }
});

export async function firstWorker(source: WorkerSource): Promise<WorkerHandle> {
  const [present] = source.current();
  if (present !== undefined) return present;
  return new Promise((resolve) => {
    const stop = source.onChange((change) => {
      if (change.type !== "joined") return;
      stop();
      resolve(change.handle);
    });
  });
}

export async function collect(
  batches: AsyncIterable<TokenBatch>,
): Promise<{ ids: number[]; finish: string | undefined }> {
  const ids: number[] = [];
  let finish: string | undefined;
  for await (const batch of batches) {
    expect(batch.firstIndex).toBe(ids.length);
    ids.push(...batch.ids);
    finish = batch.finish?.reason;
  }
  return { ids, finish };
}

test("tokens of many requests come back in order over one session", async () => {
  await using runtime = await createRuntime();
  await runtime.serveEngine(echo, { role: "both", capacity: { requests: 2000 } });
  const { engine, card } = await firstWorker(runtime.workers({ model: "m" }));
  expect(card.model).toBe("m");
  const prompts = Array.from({ length: 1000 }, (_, i) =>
    Uint32Array.from({ length: 1 + (i % 7) }, (_, k) => 1 + i * 10 + k),
  );
  const answers = await Promise.all(
    prompts.map((promptIds, i) =>
      collect(
        engine.generate(createRequest({ id: `r${i}`, model: "m", promptIds, limits: { maxTokens: 100 } }), {
          signal: new AbortController().signal,
        }),
      ),
    ),
  );
  answers.forEach(({ ids, finish }, i) => {
    expect(ids).toEqual([...prompts[i]!]);
    expect(finish).toBe("stop");
  });
});
