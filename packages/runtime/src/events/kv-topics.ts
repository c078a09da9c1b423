import { toBinary } from "@bufbuild/protobuf";
import { KvEventBatchSchema } from "@stator/contracts";
import type { Clock, KvEventBatch, Worker } from "@stator/core";
import { batchToWire } from "../codec/kv-event-codec.ts";
import { startSweeper } from "../discovery/memory-discovery.ts";
import type { EventChannel } from "./event-plane.ts";

/** Topic of the batches of all workers, and of how far each worker is. */
export const kvTopic: string = "kv-events";
export const kvSequenceTopic: string = "kv-sequences";

/** Longest message, in bytes: NATS takes 1 MiB by default. */
const messageBytes = 256 * 1024;

/** Tells a worker's events to everybody, and its last sequence every heartbeat, by which lost ones are noticed. */
export function publishKvEvents(
  channel: EventChannel,
  worker: Worker,
  clock: Clock,
  everyMs: number,
): { add(batch: KvEventBatch): void; stop(): void } {
  let last: KvEventBatch | undefined;
  const sweeper = startSweeper(clock, everyMs, () => {
    if (last === undefined) return;
    const [wire] = batchToWire(
      { worker: worker.id, epoch: worker.epoch, sequence: last.sequence, events: [] },
      messageBytes,
    );
    if (wire !== undefined) channel.publish(kvSequenceTopic, toBinary(KvEventBatchSchema, wire));
  });
  return {
    add(batch) {
      last = batch;
      // What is dropped while nobody can hear shows as a gap later.
      for (const wire of batchToWire(batch, messageBytes))
        channel.publish(kvTopic, toBinary(KvEventBatchSchema, wire));
    },
    stop: () => sweeper.stop(),
  };
}
