import {
  AckPolicy,
  DiscardPolicy,
  JetStreamApiError,
  jetstream,
  RetentionPolicy,
  StorageType,
  type Consumer,
  type JetStreamClient,
  type JetStreamManager,
  type JsMsg,
} from "@nats-io/jetstream";
import { headers, type NatsConnection } from "@nats-io/transport-node";
import { sleep } from "@stator/core";
import { queueFailed, queueFull } from "../queue/memory-queue.ts";
import type { TakeOptions, WorkQueue, WorkQueueContext, WorkQueues } from "../queue/work-queue.ts";
import { RuntimeError } from "../runtime-error.ts";
import { openNatsLink, type NatsLink, type NatsOptions } from "./nats-link.ts";

export interface NatsQueueOptions extends NatsOptions {
  /** Before the streams' and subjects' names. Default "stator". */
  readonly prefix?: string;
  /** Servers that hold the streams. Default 1. */
  readonly replicas?: number;
}

/** JetStream's code for "the stream holds all that it may". */
const streamFull = 10077;
/** JetStream's code for a stream that exists with another bound. */
const otherConfiguration = 10058;
/** Dead letters kept, and for how long in milliseconds. */
const keptDead = 1_000;
const keepDeadMs = 86_400_000;
/** How long one ask for a job waits, in milliseconds. */
const askMs = 1_000;

interface Streams {
  readonly connection: NatsConnection;
  readonly js: JetStreamClient;
  readonly jsm: JetStreamManager;
}

/**
 * A work queue in JetStream: a stream per subject with work-queue retention on disk, one durable consumer that all takers
 * share, explicit acknowledgement, bounded depth, and a stream of dead letters. Channels are plain NATS subjects.
 */
export function natsQueue(options: NatsQueueOptions = {}): WorkQueues {
  return {
    name: `nats ${[options.servers ?? "nats://127.0.0.1:4222"].flat().join(",")}`,
    async open(context) {
      const link = openNatsLink(options, context);
      await link.get().catch(() => {});
      return openQueue(link, options, context);
    },
  };
}

function openQueue(link: NatsLink, options: NatsQueueOptions, context: WorkQueueContext): WorkQueue {
  const { clock, deadlines, logger, namespace } = context;
  const { prefix = "stator", replicas = 1 } = options;
  const timeout = deadlines.natsStaleMs;
  const root = `${prefix}.${namespace}`;
  const known = new Map<string, Promise<void>>();
  const takers = new Set<{ stop(): Promise<void> }>();
  const listeners = new Map<string, Set<(payload: Uint8Array) => void>>();

  // Stream names and subject tokens allow few characters.
  const token = (subject: string): string => Buffer.from(subject).toString("hex");
  const streamOf = (subject: string): string => `${prefix}_${namespace}_queue_${token(subject)}`;
  const subjectOf = (subject: string): string => `${root}.queue.${token(subject)}`;
  const deadStream = `${prefix}_${namespace}_dead`;
  const deadSubjectOf = (subject: string): string => `${root}.dead.${token(subject)}`;

  const streams = async (): Promise<Streams> => {
    const connection = await link.get();
    const js = jetstream(connection, { timeout });
    return { connection, js, jsm: await js.jetstreamManager(false) };
  };

  /** Makes the streams of a subject, or sets its bound anew. */
  const ensure = (subject: string, maxDepth: number | undefined): Promise<void> => {
    const key = `${subject}\n${maxDepth ?? ""}`;
    let made = known.get(key);
    if (made === undefined) {
      made = make(subject, maxDepth).catch((error: unknown) => {
        known.delete(key);
        throw error;
      });
      known.set(key, made);
    }
    return made;
  };

  const make = async (subject: string, maxDepth: number | undefined): Promise<void> => {
    const { jsm } = await streams();
    const name = streamOf(subject);
    const config = {
      name,
      subjects: [subjectOf(subject)],
      retention: RetentionPolicy.Workqueue,
      storage: StorageType.File,
      discard: DiscardPolicy.New,
      num_replicas: replicas,
    };
    const bound = maxDepth === undefined ? {} : { max_msgs: maxDepth };
    const isNew = await jsm.streams.add({ ...config, ...bound }).then(
      () => true,
      (error: unknown) => {
        if (error instanceof JetStreamApiError && error.code === otherConfiguration) return false;
        throw error;
      },
    );
    // Takers make it without a bound; the callers' one counts.
    if (!isNew && maxDepth !== undefined) await jsm.streams.update(name, bound);
    await jsm.streams.add({
      name: deadStream,
      subjects: [`${root}.dead.>`],
      storage: StorageType.File,
      max_msgs: keptDead,
      max_age: keepDeadMs * 1e6,
      num_replicas: replicas,
    });
  };

  const failed = (subject: string, doing: string, error: unknown): RuntimeError =>
    RuntimeError.isInstance(error) ? error : queueFailed(subject, `NATS failed at ${doing}`, error);

  const consumerOf = async (subject: string, visibilityMs: number): Promise<Consumer> => {
    await ensure(subject, undefined);
    const { js, jsm } = await streams();
    const stream = streamOf(subject);
    const name = "takers";
    const present = await jsm.consumers.info(stream, name).catch(() => undefined);
    if (present === undefined) {
      await jsm.consumers.add(stream, {
        durable_name: name,
        ack_policy: AckPolicy.Explicit,
        ack_wait: visibilityMs * 1e6,
        // Deliveries are counted here, so that the last failure can be told to the caller.
        max_deliver: -1,
        max_ack_pending: 100_000,
      });
    }
    return js.consumers.get(stream, name);
  };

  const deliver = async (
    subject: string,
    message: JsMsg,
    takeOptions: TakeOptions,
    handle: Parameters<WorkQueue["take"]>[2],
  ): Promise<void> => {
    const count = message.info.deliveryCount;
    const payload = new Uint8Array(message.data);
    if (count <= takeOptions.maxDeliveries) {
      try {
        await handle({ payload, count, working: () => message.working() });
        message.ack();
        return;
      } catch (error) {
        logger.warn("a job failed", { subject, delivery: count, error: String(error) });
        if (count < takeOptions.maxDeliveries) {
          message.nak();
          return;
        }
      }
    }
    // Its last taker failed, or died without a word.
    const { js } = await streams();
    await js.publish(deadSubjectOf(subject), payload);
    message.term();
    takeOptions.onDead(payload);
  };

  const attach = (channel: string): void => {
    link.onOpen((connection) => {
      if (!listeners.has(channel)) return;
      const subscription = connection.subscribe(`${root}.${channel}`, {
        callback(_error, message) {
          const all = listeners.get(channel);
          if (all === undefined) subscription.unsubscribe();
          for (const listener of all ?? []) listener(message.data);
        },
      });
      subscriptions.set(channel, () => subscription.unsubscribe());
    });
  };
  const subscriptions = new Map<string, () => void>();

  return {
    async submit(subject, payload, maxDepth, traceparent) {
      try {
        await ensure(subject, maxDepth);
        const { js } = await streams();
        const sent = traceparent === undefined ? undefined : headers();
        sent?.set("traceparent", traceparent as string);
        await js.publish(subjectOf(subject), payload, {
          timeout,
          ...(sent === undefined ? {} : { headers: sent }),
        });
      } catch (error) {
        if (error instanceof JetStreamApiError && error.code === streamFull)
          throw queueFull(subject, maxDepth);
        // A server that lost its data gets the streams anew.
        known.clear();
        throw failed(subject, "submitting", error);
      }
    },
    take(subject, takeOptions, handle) {
      const controller = new AbortController();
      const slot = async (): Promise<void> => {
        let consumer: Consumer | undefined;
        while (!controller.signal.aborted) {
          try {
            consumer ??= await consumerOf(subject, takeOptions.visibilityMs);
            const message = await consumer.next({ expires: askMs });
            if (message === null) continue;
            await deliver(subject, message, takeOptions, handle);
          } catch (error) {
            consumer = undefined;
            known.clear();
            logger.debug("taking failed", { subject, error: String(error) });
            await sleep(clock, 100 + Math.random() * 200, controller.signal).catch(() => {});
          }
        }
      };
      const slots = Array.from({ length: takeOptions.concurrency }, slot);
      const taking = {
        async stop() {
          takers.delete(taking);
          controller.abort(new Error("stopped"));
          await Promise.all(slots);
        },
      };
      takers.add(taking);
      return taking;
    },
    async depth(subject) {
      try {
        await ensure(subject, undefined);
        const { jsm } = await streams();
        return (await jsm.streams.info(streamOf(subject))).state.messages;
      } catch (error) {
        throw failed(subject, "asking for its depth", error);
      }
    },
    async dead(subject) {
      try {
        await ensure(subject, undefined);
        const { jsm } = await streams();
        const { state } = await jsm.streams.info(deadStream, { subjects_filter: deadSubjectOf(subject) });
        return state.subjects?.[deadSubjectOf(subject)] ?? 0;
      } catch (error) {
        throw failed(subject, "asking for dead letters", error);
      }
    },
    say(channel, payload) {
      link.get().then(
        (connection) => connection.publish(`${root}.${channel}`, payload),
        // At most once: who does not hear it notices by silence.
        () => {},
      );
    },
    listen(channel, listener) {
      let all = listeners.get(channel);
      if (all === undefined) {
        listeners.set(channel, (all = new Set()));
        attach(channel);
      }
      const mine = all;
      mine.add(listener);
      return () => {
        mine.delete(listener);
        if (mine.size > 0) return;
        listeners.delete(channel);
        subscriptions.get(channel)?.();
        subscriptions.delete(channel);
      };
    },
    async close() {
      await Promise.all([...takers].map((each) => each.stop()));
      await link.close();
    },
  };
}
