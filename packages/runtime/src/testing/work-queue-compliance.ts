import { createDeadlines, silentLogger, systemClock } from "@stator/core";
import type { WorkQueue, WorkQueues } from "../queue/work-queue.ts";
import { assert, type ComplianceCase } from "./compliance-case.ts";

/** A queue under test. */
export interface WorkQueueFixture {
  /** A way to the queue; a second one to the same queue, as another process would have it. */
  readonly queues: readonly [WorkQueues, WorkQueues];
  close(): Promise<void>;
}

const context = {
  namespace: "suite",
  clock: systemClock,
  deadlines: createDeadlines(),
  logger: silentLogger,
};
const visibilityMs = 1_000;

/**
 * What every work queue must do.
 *
 * @param fixture makes a fresh, empty queue for each case.
 */
export function workQueueCompliance(fixture: () => Promise<WorkQueueFixture>): readonly ComplianceCase[] {
  const on =
    (run: (caller: WorkQueue, taker: WorkQueue) => Promise<void>): (() => Promise<void>) =>
    async () => {
      const { queues, close } = await fixture();
      const [caller, taker] = await Promise.all([queues[0].open(context), queues[1].open(context)]);
      try {
        await run(caller, taker);
      } finally {
        await Promise.all([caller.close(), taker.close()]);
        await close();
      }
    };
  const take = { concurrency: 1, maxDeliveries: 3, visibilityMs, onDead: () => {} };

  return [
    {
      name: "jobs submitted before and after a taker comes are each done once",
      run: on(async (caller, taker) => {
        const done: number[] = [];
        await submit(caller, 1, 2);
        const taking = taker.take(
          "s",
          { ...take, concurrency: 2 },
          async ({ payload }) => void done.push(await first(payload)),
        );
        await submit(caller, 3, 4, 5);
        await until("all are done", () => done.length >= 5);
        await until("the queue is empty", async () => (await caller.depth("s")) === 0);
        await taking.stop();
        assert(done.sort().join() === "1,2,3,4,5", `Done were ${done.join()}.`);
      }),
    },
    {
      name: "a job that fails is delivered again, and counts its deliveries",
      run: on(async (caller, taker) => {
        const counts: number[] = [];
        taker.take("s", take, ({ count }) => {
          counts.push(count);
          return count < 3 ? Promise.reject(new Error("not yet")) : Promise.resolve();
        });
        await submit(caller, 1);
        await until("the third delivery", () => counts.length >= 3);
        await until("the queue is empty", async () => (await caller.depth("s")) === 0);
        assert(counts.join() === "1,2,3", `Deliveries were ${counts.join()}.`);
        assert((await caller.dead("s")) === 0, "It became a dead letter.");
      }),
    },
    {
      name: "a job that fails too often becomes a dead letter, and is told",
      run: on(async (caller, taker) => {
        const dead: number[] = [];
        const onDead = (payload: Uint8Array): void => void dead.push(payload[0]!);
        taker.take("s", { ...take, maxDeliveries: 2, onDead }, () => Promise.reject(new Error("never")));
        await submit(caller, 7);
        await until("it is told", () => dead.length === 1);
        assert(dead[0] === 7, "Another payload was told.");
        await until("the queue is empty", async () => (await caller.depth("s")) === 0);
        assert((await caller.dead("s")) === 1, `There are ${await caller.dead("s")} dead letters.`);
      }),
    },
    {
      name: "a taker that falls silent loses its job to another; one that says it works keeps it",
      run: on(async (caller, taker) => {
        let deliveries = 0;
        let isWorking = true;
        let finish: () => void = () => {};
        const held = new Promise<void>((resolve) => (finish = resolve));
        const slow = taker.take("s", take, async ({ working, count }) => {
          deliveries = Math.max(deliveries, count);
          while (isWorking) {
            working();
            await pause(visibilityMs / 5);
          }
          await held;
        });
        await submit(caller, 1);
        await until("it is taken", () => deliveries === 1);
        await pause(2.5 * visibilityMs);
        assert(deliveries === 1, "It was taken away from a taker that said it works.");
        isWorking = false;
        let taken = 0;
        caller.take("s", take, ({ count }) => {
          taken = count;
          return Promise.resolve();
        });
        await until("another takes it", () => taken > 1);
        finish();
        await slow.stop();
      }),
    },
    {
      name: "beyond its bound a job is refused as overloaded",
      run: on(async (caller) => {
        await caller.submit("s", Uint8Array.of(1), 2);
        await caller.submit("s", Uint8Array.of(2), 2);
        const error = await caller.submit("s", Uint8Array.of(3), 2).catch((thrown: unknown) => thrown);
        assert((error as { code?: unknown }).code === "RUNTIME_QUEUE_FULL", `It gave ${String(error)}.`);
        assert((await caller.depth("s")) === 2, "The refused job is in the queue.");
      }),
    },
    {
      name: "subjects are kept apart",
      run: on(async (caller, taker) => {
        const done: number[] = [];
        taker.take("a b.*", take, async ({ payload }) => void done.push(await first(payload)));
        await caller.submit("other", Uint8Array.of(1), 9);
        await caller.submit("a b.*", Uint8Array.of(2), 9);
        await until("one is done", () => done.length > 0);
        assert(done.join() === "2" && (await caller.depth("other")) === 1, `Done were ${done.join()}.`);
      }),
    },
    {
      name: "channels carry what is said to all that listen",
      run: on(async (caller, taker) => {
        const heard: string[] = [];
        caller.listen("c", (payload) => heard.push(`caller ${payload[0]}`));
        const stop = taker.listen("c", (payload) => heard.push(`taker ${payload[0]}`));
        // Listening reaches a server before what is said afterwards over another connection only in time.
        await until("both hear", () => {
          taker.say("c", Uint8Array.of(1));
          return heard.includes("caller 1") && heard.includes("taker 1");
        });
        stop();
        taker.say("c", Uint8Array.of(2));
        await until("the caller hears", () => heard.includes("caller 2"));
        assert(!heard.includes("taker 2"), "It was told after it stopped listening.");
      }),
    },
  ];
}

async function submit(queue: WorkQueue, ...jobs: readonly number[]): Promise<void> {
  for (const job of jobs) await queue.submit("s", Uint8Array.of(job), 100);
}

function first(payload: Uint8Array): Promise<number> {
  return Promise.resolve(payload[0] ?? -1);
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

async function until(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
  const endMs = performance.now() + 15_000;
  while (!(await condition())) {
    if (performance.now() > endMs) throw new Error(`Not in time: ${what}.`);
    await pause(10);
  }
}
