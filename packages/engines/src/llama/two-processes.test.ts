import { fork, type ChildProcess } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { RequestInit, TokenBatch } from "@stator/core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { llamaIfPresent } from "../../test/llama-capability.ts";

const isPresent = (await llamaIfPresent()) !== undefined;

interface Answer {
  readonly id: string;
  readonly batches?: TokenBatch[];
  readonly error?: string;
}

/** A llama engine in a process of its own. */
function startWorker(): {
  readonly child: ChildProcess;
  readonly ready: Promise<unknown>;
  run(init: RequestInit): Promise<TokenBatch[]>;
} {
  const child = fork(fileURLToPath(new URL("../../test/llama-worker.ts", import.meta.url)), [], {
    execArgv: ["--import", "tsx", "--conditions=@stator/source"],
    serialization: "advanced",
  });
  const waits = new Map<string, (answer: Answer) => void>();
  const answer = (id: string): Promise<Answer> => new Promise((resolve) => waits.set(id, resolve));
  child.on("message", (message: Answer) => waits.get(message.id)?.(message));
  child.on("exit", (code) =>
    waits.forEach((resolve, id) => resolve({ id, error: `the worker ended with ${code}` })),
  );
  return {
    child,
    ready: answer("ready"),
    async run(init) {
      const answered = answer(init.id);
      child.send(init);
      const { batches, error } = await answered;
      if (batches === undefined) throw new Error(error);
      return batches;
    },
  };
}

const prompt = (seed: number, length: number): Uint32Array =>
  Uint32Array.from({ length }, (_, i) => 3 + ((Math.imul(seed * 131 + i + 1, 2654435761) >>> 9) % 480));

describe.skipIf(!isPresent)("a prefill and a decode worker in two processes", () => {
  let workers: ReturnType<typeof startWorker>[] = [];
  beforeAll(async () => {
    workers = [startWorker(), startWorker(), startWorker()];
    await Promise.all(workers.map(({ ready }) => ready));
  });
  afterAll(() => workers.forEach(({ child }) => child.disconnect()));

  it("give the ids of one worker that does both, on 40 prompts, with KV over TCP", async () => {
    const [prefill, decode, both] = workers as [
      (typeof workers)[0],
      (typeof workers)[0],
      (typeof workers)[0],
    ];
    let heldTokens = 0;
    for (let i = 0; i < 40; i++) {
      const init: RequestInit = {
        id: `${i}`,
        model: "tiny",
        promptIds: prompt(i, 40 + 5 * i),
        limits: { maxTokens: 24 },
      };
      const [whole, [first]] = await Promise.all([both.run(init), prefill.run({ ...init, mode: "prefill" })]);
      const handoff = first!.handoff!;
      heldTokens += handoff.heldTokens;
      const rest = await decode.run({ ...init, handoff, outputIds: Uint32Array.from(handoff.firstIds) });
      expect(rest[0]?.cachedTokens).toBe(handoff.heldTokens);
      const ids = [first!, ...rest].flatMap((batch) => [...batch.ids]);
      expect(ids).toEqual(whole.flatMap((batch) => [...batch.ids]));
      expect(rest.at(-1)?.finish).toEqual(whole.at(-1)?.finish);
    }
    expect(heldTokens).toBeGreaterThan(5000);
  });
});
