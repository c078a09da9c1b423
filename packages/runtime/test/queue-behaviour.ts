import { createRequest, defineEngine, type Engine, type TokenBatch } from "@stator/core";
import { createRuntime, queued, serveQueue, type Runtime, type WorkQueues } from "@stator/runtime";
import { expect, test } from "vitest";

const card = {
  model: "echo",
  contextTokens: 4096,
  tokenizer: { json: "{}", digest: "d", specialIds: { eos: [0] } },
};
const echo = defineEngine(card, async function* (request) {
  for (const id of request.promptIds) {
    await Promise.resolve();
    yield { ids: [id] };
  }
});

function ask(
  engine: Engine,
  ids: readonly number[],
  signal = new AbortController().signal,
): AsyncIterable<TokenBatch> {
  const request = createRequest({
    id: "r",
    model: "echo",
    promptIds: Uint32Array.from(ids),
    limits: { maxTokens: 99 },
  });
  return engine.generate(request, { signal });
}

async function idsOf(batches: AsyncIterable<TokenBatch>): Promise<number[]> {
  const ids: number[] = [];
  for await (const batch of batches) {
    expect(batch.firstIndex).toBe(ids.length);
    ids.push(...batch.ids);
  }
  return ids;
}

/** What `queued` and `serveQueue` do over any work queue. */
export function queueBehaviour(queues: () => WorkQueues): void {
  const make = (deadlines = {}): Promise<Runtime> => createRuntime({ queue: queues(), deadlines });

  test("a queue is an engine: requests wait until a worker takes them, and come back token by token", async () => {
    await using caller = await make();
    await using worker = await make();
    const engine = queued(caller, { subject: "prefill" });
    const answers = Promise.all([ask(engine, [1, 2, 3]), ask(engine, [4]), ask(engine, [5, 6])].map(idsOf));
    await serveQueue(worker, echo, { subject: "prefill" });
    expect(await answers).toEqual([[1, 2, 3], [4], [5, 6]]);
    await expect.poll(() => engine.depth()).toBe(0);
  });

  test("a worker that fails in the middle: another one goes on, and no token comes twice", async () => {
    await using caller = await make();
    await using worker = await make();
    let runs = 0;
    const failing = defineEngine(card, async function* (request) {
      runs += 1;
      for (const [i, id] of [...request.promptIds].entries()) {
        if (runs === 1 && i === 2) throw new Error("device lost");
        await Promise.resolve();
        yield { ids: [id] };
      }
    });
    await serveQueue(worker, failing, { subject: "prefill" });
    expect(await idsOf(ask(queued(caller, { subject: "prefill" }), [1, 2, 3, 4]))).toEqual([1, 2, 3, 4]);
    expect(runs).toBe(2);
  });

  test("a job that fails everywhere ends with an error, and is a dead letter", async () => {
    await using caller = await make();
    await using worker = await make();
    const broken = defineEngine(card, async function* () {
      await Promise.resolve();
      yield { ids: [1] };
      throw new Error("device lost");
    });
    await serveQueue(worker, broken, { subject: "broken", maxDeliveries: 2 });
    await expect(idsOf(ask(queued(caller, { subject: "broken" }), [1]))).rejects.toMatchObject({
      code: "RUNTIME_QUEUE_FAILED",
    });
    expect(await (await caller.queue()).dead("broken")).toBe(1);
  });

  test("an aborted request stops at its worker, and one aborted in the queue is never run", async () => {
    await using caller = await make();
    await using worker = await make();
    let stopped: () => void = () => {};
    const hasStopped = new Promise<void>((resolve) => (stopped = resolve));
    const ran: number[] = [];
    const endless = defineEngine(card, async function* (request, { signal }) {
      ran.push(request.promptIds[0]!);
      try {
        for (let id = 1; !signal.aborted; id++) {
          await new Promise((resolve) => setTimeout(resolve, 5));
          yield { ids: [id] };
        }
      } finally {
        stopped();
      }
    });
    const engine = queued(caller, { subject: "endless" });
    const [running, waiting] = [new AbortController(), new AbortController()];
    const first = ask(engine, [1], running.signal)[Symbol.asyncIterator]();
    const firstBatch = first.next();
    await serveQueue(worker, endless, { subject: "endless", concurrency: 1 });
    await firstBatch;
    const second = idsOf(ask(engine, [2], waiting.signal));
    await expect.poll(() => engine.depth()).toBe(2);
    waiting.abort();
    await expect(second).rejects.toMatchObject({ kind: "cancelled" });
    running.abort();
    await hasStopped;
    await expect.poll(() => engine.depth()).toBe(0);
    expect(ran).toEqual([1]);
    await first.return?.();
  });

  test("with nobody to take it a request fails as unavailable after the queue's wait", async () => {
    await using caller = await make({ queueWaitMs: 300 });
    await expect(idsOf(ask(queued(caller, { subject: "nobody" }), [1]))).rejects.toMatchObject({
      kind: "unavailable",
    });
  });

  test("beyond its depth the queue refuses as overloaded", async () => {
    await using caller = await make({ queueWaitMs: 500 });
    const engine = queued(caller, { subject: "full", maxDepth: 1 });
    const first = idsOf(ask(engine, [1])).catch((error: unknown) => error);
    await expect.poll(() => engine.depth()).toBe(1);
    await expect(idsOf(ask(engine, [2]))).rejects.toMatchObject({
      kind: "overloaded",
      code: "RUNTIME_QUEUE_FULL",
    });
    await first;
  });
}
