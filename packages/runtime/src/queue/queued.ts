import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { QueuedControlSchema, QueuedJobSchema, QueuedReplySchema, type QueuedReply } from "@stator/contracts";
import { cancelled, type Engine, type GenerateRequest, type Handoff, type TokenBatch } from "@stator/core";
import { errorFromWire } from "../codec/error-codec.ts";
import { requestToWire } from "../codec/request-codec.ts";
import type { Runtime } from "../runtime.ts";
import { detailFromWire, readRows } from "../session/caller/frame-reader.ts";
import { createRemoteStream } from "../session/caller/remote-stream.ts";
import { queueFailed } from "./memory-queue.ts";
import type { WorkQueue } from "./work-queue.ts";

export interface QueuedOptions {
  /** Name of the queue; `serveQueue` takes from it. */
  readonly subject: string;
  /** Whose card the engine shows. Default: that of any worker of this process's namespace. */
  readonly model?: string;
  /** Jobs that may wait or run; further requests are refused as overloaded. Default 1,000. */
  readonly maxDepth?: number;
}

/**
 * A durable queue as an engine: requests wait there for a worker to take them, survive its death, and are refused when
 * too many wait. For work that can wait, such as prefill.
 *
 * @example
 * const prefill = queued(runtime, { subject: "prefill" });
 * const engine = migrating(disaggregated({ prefill, decode }));
 */
export function queued(runtime: Runtime, options: QueuedOptions): Engine & { depth(): Promise<number> } {
  const { subject, maxDepth = 1_000 } = options;
  const workers = runtime.workers(options.model === undefined ? {} : { model: options.model });
  const sourceOf = (handoff: Handoff): Engine | undefined =>
    workers.current().find(({ worker }) => worker.id === handoff.source?.worker)?.engine;
  return {
    get card() {
      return workers.current()[0]?.card;
    },
    generate: (request, { signal }) => generate(runtime, subject, maxDepth, request, signal),
    depth: async () => (await runtime.queue()).depth(subject),
    renewHandoff: (handoff) => sourceOf(handoff)?.renewHandoff?.(handoff),
    releaseHandoff: (handoff, outcome) => sourceOf(handoff)?.releaseHandoff?.(handoff, outcome),
  };
}

async function* generate(
  runtime: Runtime,
  subject: string,
  maxDepth: number,
  request: GenerateRequest,
  signal: AbortSignal,
): AsyncGenerator<TokenBatch> {
  if (signal.aborted) throw cancelled(signal);
  const { clock } = runtime;
  const { deadlines } = runtime.health;
  const queue = await runtime.queue();
  const reply = `reply.${crypto.randomUUID().replaceAll("-", "")}`;
  const tell = (control: { go?: boolean; cancel?: boolean }): void => {
    if (taker !== undefined)
      queue.say(taker, toBinary(QueuedControlSchema, create(QueuedControlSchema, control)));
  };
  let taker: string | undefined;
  let delivery = 0;
  let nextIndex = request.outputIds.length;
  let isOver = false;

  const stream = createRemoteStream(() => (isOver = true));
  // Nobody took it, or who took it fell silent and nobody took it anew: both are bounded by the wait in a queue.
  const watch = () =>
    clock.schedule(deadlines.queueWaitMs, () => {
      stream.fail(
        queueFailed(
          subject,
          `no worker took, or went on with, ${request.id} for ${deadlines.queueWaitMs} ms`,
        ),
      );
    });
  let timer = watch();

  const hear = (message: QueuedReply): void => {
    // An earlier taker that lives on after all.
    if (isOver || message.delivery < delivery) return;
    delivery = message.delivery;
    timer.cancel();
    timer = watch();
    if (message.taker !== "") {
      taker = message.taker;
      tell({ go: true });
    }
    if (message.error !== undefined) stream.fail(errorFromWire(message.error));
    if (message.frame?.outputs === undefined) return;
    readRows(message.frame.outputs, message.frame.details, (_handle, firstIndex, ids, wire) => {
      // A later delivery starts again: what came before is the same, and is dropped.
      const known = Math.max(0, nextIndex - firstIndex);
      const detail = wire && detailFromWire(wire);
      if (
        firstIndex > nextIndex ||
        (known >= ids.length && detail?.finish === undefined && detail?.handoff === undefined)
      )
        return;
      const logprobs = detail?.logprobs?.slice(known);
      stream.push(
        firstIndex + known,
        ids.slice(known),
        detail && { ...detail, ...(logprobs === undefined ? {} : { logprobs }) },
      );
      nextIndex = Math.max(nextIndex, firstIndex + ids.length);
    });
  };
  const stop = queue.listen(reply, (payload) => hear(fromBinary(QueuedReplySchema, payload)));
  const onAbort = (): void => {
    // At once: whoever reads the stream may never look again.
    tell({ cancel: true });
    stream.fail(cancelled(signal));
  };
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    await submit(queue, subject, reply, request, maxDepth);
    yield* stream;
  } finally {
    isOver = true;
    timer.cancel();
    stop();
    signal.removeEventListener("abort", onAbort);
    tell({ cancel: true });
  }
}

function submit(
  queue: WorkQueue,
  subject: string,
  reply: string,
  request: GenerateRequest,
  maxDepth: number,
): Promise<void> {
  const job = create(QueuedJobSchema, { reply, request: requestToWire(request) });
  return queue.submit(subject, toBinary(QueuedJobSchema, job), maxDepth, request.traceparent);
}
