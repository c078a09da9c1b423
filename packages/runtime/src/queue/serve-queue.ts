import { create, fromBinary, toBinary, type MessageInitShape } from "@bufbuild/protobuf";
import { QueuedControlSchema, QueuedJobSchema, QueuedReplySchema } from "@stator/contracts";
import { StatorError, type Engine } from "@stator/core";
import { errorToWire } from "../codec/error-codec.ts";
import { requestFromWire } from "../codec/request-codec.ts";
import type { Runtime } from "../runtime.ts";
import { createFrameBuilder } from "../session/worker/frame-builder.ts";
import { queueFailed } from "./memory-queue.ts";
import type { Delivery, WorkQueue } from "./work-queue.ts";

export interface ServeQueueOptions {
  /** Name of the queue. */
  readonly subject: string;
  /** Jobs in hand at once. Default 4. */
  readonly concurrency?: number;
  /** Deliveries after which a job is given up and its caller told. Default 3. */
  readonly maxDeliveries?: number;
}

export interface ServedQueue extends AsyncDisposable {
  /** Takes nothing new; resolves when what is in hand has ended. */
  drain(): Promise<void>;
  close(): Promise<void>;
}

/** Lets an engine take its work from a queue, as fast as it can and no faster. */
export async function serveQueue(
  runtime: Runtime,
  engine: Engine,
  options: ServeQueueOptions,
): Promise<ServedQueue> {
  const { subject, concurrency = 4, maxDeliveries = 3 } = options;
  const { deadlines } = runtime.health;
  const queue = await runtime.queue();
  const onDead = (payload: Uint8Array): void => {
    const { reply } = fromBinary(QueuedJobSchema, payload);
    const error = queueFailed(subject, `${maxDeliveries} deliveries failed; the job is a dead letter now`);
    say(queue, reply, { delivery: maxDeliveries + 1, error: errorToWire(error) });
  };
  const taking = queue.take(
    subject,
    { concurrency, maxDeliveries, visibilityMs: 2 * deadlines.deadMs, onDead },
    (delivery) => work(runtime, queue, engine, delivery),
  );
  const stop = (): Promise<void> => taking.stop();
  return { drain: stop, close: stop, [Symbol.asyncDispose]: stop };
}

function say(queue: WorkQueue, channel: string, reply: MessageInitShape<typeof QueuedReplySchema>): void {
  queue.say(channel, toBinary(QueuedReplySchema, create(QueuedReplySchema, reply)));
}

/** One delivery: asks whether it is still wanted, runs it, sends every batch as it comes. */
async function work(runtime: Runtime, queue: WorkQueue, engine: Engine, delivery: Delivery): Promise<void> {
  const { clock } = runtime;
  const { deadlines } = runtime.health;
  const job = fromBinary(QueuedJobSchema, delivery.payload);
  if (job.request === undefined) return;
  const request = requestFromWire(job.request);
  const taker = `taker.${crypto.randomUUID().replaceAll("-", "")}`;
  const controller = new AbortController();
  let go: (isWanted: boolean) => void = () => {};
  const isWanted = new Promise<boolean>((resolve) => (go = resolve));
  const stop = queue.listen(taker, (payload) => {
    const control = fromBinary(QueuedControlSchema, payload);
    if (control.go) go(true);
    if (!control.cancel) return;
    go(false);
    controller.abort();
  });
  // Its caller gave up, or died while it waited: nobody is there to hear the answer.
  const unanswered = clock.schedule(deadlines.deadMs, () => go(false));
  const beat = (): void => {
    delivery.working();
    say(queue, job.reply, { delivery: delivery.count });
    heartbeat = clock.schedule(deadlines.heartbeatMs, beat);
  };
  let heartbeat = clock.schedule(deadlines.heartbeatMs, beat);
  try {
    say(queue, job.reply, { delivery: delivery.count, taker });
    if (!(await isWanted)) return;
    const builder = createFrameBuilder();
    for await (const batch of engine.generate(request, { signal: controller.signal })) {
      for (let offset = 0; ;) {
        offset = builder.add(0, batch, offset);
        say(queue, job.reply, { delivery: delivery.count, frame: builder.take().frame });
        if (offset >= batch.ids.length) break;
      }
    }
  } catch (error) {
    if (controller.signal.aborted) return;
    const known = StatorError.from(error);
    // What another worker may do better is delivered again; what is the request's own fault is told.
    if (known.kind !== "invalid" && known.kind !== "notFound" && known.kind !== "incompatible") throw error;
    say(queue, job.reply, { delivery: delivery.count, error: errorToWire(known) });
  } finally {
    unanswered.cancel();
    heartbeat.cancel();
    stop();
  }
}
