import type { Clock, Deadlines, Logger } from "@stator/core";

/** What a queue is opened with. */
export interface WorkQueueContext {
  readonly namespace: string;
  readonly clock: Clock;
  readonly deadlines: Deadlines;
  readonly logger: Logger;
}

/** One delivery of a job. */
export interface Delivery {
  readonly payload: Uint8Array;
  /** From 1. */
  readonly count: number;
  /** Says that it is still being worked on; without it for `visibilityMs` the job is delivered again. */
  working(): void;
}

export interface TakeOptions {
  /** Jobs in hand at once. */
  readonly concurrency: number;
  /** A job is given up, and laid aside as a dead letter, when this many deliveries failed. */
  readonly maxDeliveries: number;
  /** Silence of a taker after which a job is delivered again. */
  readonly visibilityMs: number;
  /** A job was given up; `payload` as it was submitted. */
  readonly onDead: (payload: Uint8Array) => void;
}

/** A durable queue of jobs, and channels on which callers and takers talk about them. */
export interface WorkQueue {
  /**
   * Resolves once the job is stored.
   *
   * @param maxDepth jobs that may wait.
   * @param traceparent W3C trace context of the job, shown where the queue's messages have headers.
   * @throws RuntimeError `RUNTIME_QUEUE_FULL`, `RUNTIME_QUEUE_FAILED`.
   */
  submit(subject: string, payload: Uint8Array, maxDepth: number, traceparent?: string): Promise<void>;
  /** Takes jobs until stopped. `handle` resolves: done; throws: delivered again, to whoever is free. */
  take(
    subject: string,
    options: TakeOptions,
    handle: (delivery: Delivery) => Promise<void>,
  ): { stop(): Promise<void> };
  /** Jobs that wait or are in hand. */
  depth(subject: string): Promise<number>;
  /** Dead letters so far. */
  dead(subject: string): Promise<number>;
  /** At most once, to those that listen now. */
  say(channel: string, payload: Uint8Array): void;
  listen(channel: string, listener: (payload: Uint8Array) => void): () => void;
  close(): Promise<void>;
}

/** A kind of queue, to be given to `createRuntime`. */
export interface WorkQueues {
  readonly name: string;
  open(context: WorkQueueContext): Promise<WorkQueue>;
}
