import type { Clock, KvEventBatch, Timer } from "@stator/core";
import type { Selector } from "../selector/selector.ts";
import { partsOfBatch, type BatchPart } from "./batch-parts.ts";
import type { ReplicaMessage } from "./replica-message.ts";

/** Longest that a router which serves meanwhile is kept busy at a time, in milliseconds. */
const TURN_MS = 4;
/** A snapshot that was sent may still be on its way when it is asked for again, in milliseconds. */
const ON_ITS_WAY_MS = 500;
/** Snapshots that were sent, remembered. */
const MOST_SENT = 4096;

export interface SnapshotSenderOptions {
  readonly selector: Selector;
  readonly router: string;
  readonly publish: (message: ReplicaMessage) => void;
  readonly clock: Clock;
}

/** Snapshots of workers for replicas that ask, a few milliseconds of work at a time and one after the other. */
export interface SnapshotSender {
  send(to: string, worker: string): void;
  close(): void;
}

interface Order {
  readonly to: string;
  readonly worker: string;
}

export function createSnapshotSender(options: SnapshotSenderOptions): SnapshotSender {
  const { selector, router, publish, clock } = options;
  /** By replica and worker, so bounded by them; the first is the one at work. */
  const orders = new Map<string, Order>();
  const sent = new Map<string, number>();
  let steps: Generator<void, KvEventBatch | undefined, void> | undefined;
  let parts: Iterator<BatchPart, void, void> | undefined;
  let timer: Timer | undefined;

  /** One piece of the first order. */
  function work([key, { to, worker }]: [string, Order]): void {
    if (parts === undefined) {
      steps ??= selector.dumpSteps(worker);
      const step = steps.next();
      if (step.done !== true) return;
      steps = undefined;
      if (step.value === undefined) orders.delete(key);
      else parts = partsOfBatch(step.value);
      return;
    }
    const part = parts.next();
    if (part.done !== true) {
      publish({ type: "observed", router, to, ...part.value });
      return;
    }
    parts = undefined;
    orders.delete(key);
    sent.set(key, clock.now());
    if (sent.size > MOST_SENT) sent.delete(sent.keys().next().value!);
  }

  function turn(): void {
    timer = undefined;
    const untilMs = clock.now() + TURN_MS;
    for (let first = next(); first !== undefined && clock.now() <= untilMs; first = next()) work(first);
    if (orders.size > 0) timer = clock.schedule(0, turn);
  }
  const next = (): [string, Order] | undefined => orders.entries().next().value;

  return {
    send(to, worker) {
      const key = `${to}/${worker}`;
      const sentMs = sent.get(key);
      if (orders.has(key) || (sentMs !== undefined && clock.now() - sentMs < ON_ITS_WAY_MS)) return;
      sent.delete(key);
      orders.set(key, { to, worker });
      timer ??= clock.schedule(0, turn);
    },
    close() {
      timer?.cancel();
      steps?.return(undefined);
      steps = parts = undefined;
      orders.clear();
    },
  };
}
