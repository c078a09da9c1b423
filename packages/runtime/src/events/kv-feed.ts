import { fromBinary } from "@bufbuild/protobuf";
import { KvEventBatchSchema, type Registration } from "@stator/contracts";
import type { Clock, KvEventBatch, Logger } from "@stator/core";
import { createBatchAssembler, type BatchAssembler } from "../codec/kv-event-codec.ts";
import type { DiscoveryStore } from "../discovery/discovery.ts";
import { fetchSnapshot } from "../session/bulk.ts";
import type { SessionLink } from "../session/session-port.ts";
import type { EventChannel } from "./event-plane.ts";
import { kvSequenceTopic, kvTopic } from "./kv-topics.ts";

export interface KvFeedOptions {
  readonly channel: EventChannel;
  readonly store: DiscoveryStore;
  readonly openLink: (address: string) => SessionLink;
  readonly clock: Clock;
  readonly logger: Logger;
}

interface Source {
  readonly record: Registration;
  readonly assembler: BatchAssembler;
  readonly controller: AbortController;
  sequence: bigint;
  /** Batches that came while a snapshot is fetched; undefined when none is. */
  held: KvEventBatch[] | undefined;
}

/** Wait before a snapshot is asked for again, in milliseconds. */
const retryMs = 500;
/** Batches held while a snapshot is fetched; more are dropped and show as a gap. */
const maxHeld = 10_000;

/**
 * The KV events of all workers of a namespace, without a session to any: a snapshot of each first, then its batches in
 * order without gaps; a gap is healed by another snapshot. A worker that leaves tells an empty snapshot.
 */
export function createKvFeed(options: KvFeedOptions, listener: (batch: KvEventBatch) => void): () => void {
  const { channel, store, clock, logger } = options;
  const sources = new Map<string, Source>();

  const fetch = (source: Source): void => {
    if (source.held !== undefined || source.controller.signal.aborted) return;
    source.held = [];
    snapshotOf(source).then(
      (snapshot) => {
        const held = source.held ?? [];
        source.held = undefined;
        if (source.controller.signal.aborted) return;
        source.sequence = snapshot.sequence;
        listener(snapshot);
        for (const batch of held) take(source, batch);
      },
      (error: unknown) => {
        if (source.controller.signal.aborted) return;
        logger.debug("no snapshot yet", { worker: source.record.id, error: String(error) });
        clock.schedule(retryMs, () => {
          source.held = undefined;
          fetch(source);
        });
      },
    );
  };

  const snapshotOf = async ({ record, controller }: Source): Promise<KvEventBatch> => {
    const link = options.openLink(record.address);
    try {
      return await fetchSnapshot(link, { worker: record.id, epoch: record.epoch }, controller.signal);
    } finally {
      link.close();
    }
  };

  const hold = ({ held }: Source, batch: KvEventBatch): void => {
    if (held !== undefined && held.length < maxHeld) held.push(batch);
  };

  const take = (source: Source, batch: KvEventBatch): void => {
    if (source.held !== undefined) return hold(source, batch);
    if (batch.sequence <= source.sequence) return;
    if (batch.sequence !== source.sequence + 1n) {
      fetch(source);
      return hold(source, batch);
    }
    source.sequence = batch.sequence;
    listener(batch);
  };

  const stops = [
    channel.subscribe(kvTopic, (payload) => {
      const wire = fromBinary(KvEventBatchSchema, payload);
      const source = sources.get(wire.worker);
      if (source === undefined || source.record.epoch !== wire.epoch) return;
      const batch = source.assembler.add(wire);
      if (batch !== undefined) take(source, batch);
    }),
    channel.subscribe(kvSequenceTopic, (payload) => {
      const { worker, epoch, sequence } = fromBinary(KvEventBatchSchema, payload);
      const source = sources.get(worker);
      if (source?.record.epoch === epoch && source.held === undefined && sequence > source.sequence)
        fetch(source);
    }),
    store.watch((change) => {
      if (change.type === "put" && change.record.subject.case === "worker") {
        const { record } = change;
        if (sources.get(record.id)?.record.epoch === record.epoch) return;
        sources.get(record.id)?.controller.abort();
        const source: Source = {
          record,
          assembler: createBatchAssembler({ worker: record.id, epoch: record.epoch }),
          controller: new AbortController(),
          sequence: 0n,
          held: undefined,
        };
        sources.set(record.id, source);
        fetch(source);
      } else if (change.type === "removed") {
        const source = sources.get(change.id);
        if (source?.record.epoch !== change.epoch) return;
        source.controller.abort();
        sources.delete(change.id);
        listener({
          worker: change.id,
          epoch: change.epoch,
          sequence: source.sequence + 1n,
          events: [],
          isSnapshot: true,
        });
      }
    }),
  ];
  return () => {
    for (const stop of stops) stop();
    for (const { controller } of sources.values()) controller.abort();
    sources.clear();
  };
}
