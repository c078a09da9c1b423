import { RuntimeError } from "../runtime-error.ts";
import type { Delivery, TakeOptions, WorkQueue, WorkQueues } from "./work-queue.ts";

interface Job {
  readonly payload: Uint8Array;
  count: number;
}

interface Taker {
  readonly options: TakeOptions;
  readonly handle: (delivery: Delivery) => Promise<void>;
  active: number;
  isStopped: boolean;
  onIdle: (() => void) | undefined;
}

interface Subject {
  waiting: Job[];
  inHand: number;
  dead: number;
  readonly takers: Taker[];
}

interface Space {
  readonly subjects: Map<string, Subject>;
  readonly channels: Map<string, Set<(payload: Uint8Array) => void>>;
}

/** A work queue in this process: what `createRuntime` uses when nothing is said. Lost with the process. */
export function memoryQueue(): WorkQueues {
  const spaces = new Map<string, Space>();
  return {
    name: "memory",
    open({ namespace, clock }) {
      let space = spaces.get(namespace);
      if (space === undefined) spaces.set(namespace, (space = { subjects: new Map(), channels: new Map() }));
      const { subjects, channels } = space;
      const mine = new Set<{ stop(): Promise<void> }>();

      const subjectOf = (name: string): Subject => {
        let subject = subjects.get(name);
        if (subject === undefined)
          subjects.set(name, (subject = { waiting: [], inHand: 0, dead: 0, takers: [] }));
        return subject;
      };

      const feed = (subject: Subject): void => {
        for (;;) {
          if (subject.waiting.length === 0) return;
          const [taker] = subject.takers
            .filter((each) => !each.isStopped && each.active < each.options.concurrency)
            .sort((a, b) => a.active - b.active);
          if (taker === undefined) return;
          void deliver(subject, taker, subject.waiting.shift()!);
        }
      };

      const deliver = async (subject: Subject, taker: Taker, job: Job): Promise<void> => {
        taker.active += 1;
        subject.inHand += 1;
        job.count += 1;
        let isOver = false;
        const end = (isDone: boolean): void => {
          if (isOver) return;
          isOver = true;
          timer.cancel();
          subject.inHand -= 1;
          if (!isDone && job.count >= taker.options.maxDeliveries) {
            subject.dead += 1;
            taker.options.onDead(job.payload);
          } else if (!isDone) subject.waiting.push(job);
          feed(subject);
        };
        const watch = () => clock.schedule(taker.options.visibilityMs, () => end(false));
        let timer = watch();
        const working = (): void => {
          if (isOver) return;
          timer.cancel();
          timer = watch();
        };
        try {
          await taker.handle({ payload: job.payload, count: job.count, working });
          end(true);
        } catch {
          end(false);
        } finally {
          taker.active -= 1;
          if (taker.active === 0) taker.onIdle?.();
          feed(subject);
        }
      };

      const queue: WorkQueue = {
        submit(name, payload, maxDepth) {
          const subject = subjectOf(name);
          if (subject.waiting.length + subject.inHand >= maxDepth)
            return Promise.reject(queueFull(name, maxDepth));
          subject.waiting.push({ payload: new Uint8Array(payload), count: 0 });
          // Deferred, so that who submits hears of it first.
          queueMicrotask(() => feed(subject));
          return Promise.resolve();
        },
        take(name, options, handle) {
          const subject = subjectOf(name);
          const taker: Taker = { options, handle, active: 0, isStopped: false, onIdle: undefined };
          subject.takers.push(taker);
          feed(subject);
          const taking = {
            async stop() {
              mine.delete(taking);
              taker.isStopped = true;
              const at = subject.takers.indexOf(taker);
              if (at >= 0) subject.takers.splice(at, 1);
              if (taker.active > 0) await new Promise<void>((resolve) => (taker.onIdle = resolve));
            },
          };
          mine.add(taking);
          return taking;
        },
        depth(name) {
          const { waiting, inHand } = subjectOf(name);
          return Promise.resolve(waiting.length + inHand);
        },
        dead: (name) => Promise.resolve(subjectOf(name).dead),
        say(channel, payload) {
          for (const listener of [...(channels.get(channel) ?? [])]) queueMicrotask(() => listener(payload));
        },
        listen(channel, listener) {
          let listeners = channels.get(channel);
          if (listeners === undefined) channels.set(channel, (listeners = new Set()));
          const all = listeners;
          all.add(listener);
          return () => {
            all.delete(listener);
            if (all.size === 0) channels.delete(channel);
          };
        },
        async close() {
          await Promise.all([...mine].map((each) => each.stop()));
        },
      };
      return Promise.resolve(queue);
    },
  };
}

export function queueFull(subject: string, maxDepth: number): RuntimeError {
  return new RuntimeError({
    code: "RUNTIME_QUEUE_FULL",
    kind: "overloaded",
    message: `Queue ${subject} holds ${maxDepth} jobs, all that it may.`,
    data: { subject, retryAfterMs: 1_000, observation: "poolBusy" },
  });
}

export function queueFailed(subject: string, why: string, cause?: unknown): RuntimeError {
  return new RuntimeError({
    code: "RUNTIME_QUEUE_FAILED",
    kind: "unavailable",
    message: `Queue ${subject}: ${why}${cause instanceof Error ? `: ${cause.message}` : ""}`,
    cause,
    data: { subject, observation: "neverStarted" },
  });
}
