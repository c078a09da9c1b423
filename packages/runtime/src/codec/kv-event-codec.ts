import { create } from "@bufbuild/protobuf";
import { KvEventSchema, type KvEvent as WireEvent, type KvEventBatch as Wire } from "@stator/contracts";
import type { KvEvent, KvEventBatch } from "@stator/core";
import { eventsFromColumns, eventsToColumns, tiers } from "./kv-event-columns.ts";
import { given } from "./names.ts";
import { bytesOfU64, u64OfBytes } from "./words.ts";

/** Blocks in one event on the wire: 4,096 names are 32 KiB. Longer chains are cut; each piece names its parent. */
const blocksPerEvent = 4096;

/**
 * A batch as messages of at most `maxBytes`, all but the last one marked partial.
 *
 * @param maxBytes at least 80 KiB, so that one event with engine keys always fits.
 */
export function* batchToWire(batch: KvEventBatch, maxBytes: number): Generator<Wire> {
  let events: KvEvent[] = [];
  let bytes = 0;
  let part = 0;
  for (const event of batch.events) {
    for (const piece of piecesOf(event)) {
      const size = sizeOf(piece);
      if (bytes + size > maxBytes && events.length > 0) {
        yield messageOf(batch, events, part++, true);
        events = [];
        bytes = 0;
      }
      events.push(piece);
      bytes += size;
    }
  }
  yield messageOf(batch, events, part, false);
}

function messageOf(batch: KvEventBatch, events: readonly KvEvent[], part: number, partial: boolean): Wire {
  const columns = eventsToColumns(events);
  const message: Wire = {
    $typeName: "stator.v1.KvEventBatch",
    worker: batch.worker,
    epoch: batch.epoch,
    sequence: batch.sequence,
    events: columns === undefined ? events.map(eventToWire) : [],
    snapshot: batch.isSnapshot ?? false,
    part,
    partial,
  };
  if (columns !== undefined) message.columns = columns;
  return message;
}

/** Bytes of an event on the wire, rounded up. */
function sizeOf(event: KvEvent): number {
  if (event.type === "cleared") return 16;
  return 64 + event.sequenceHashes.byteLength + (event.engineKeys?.byteLength ?? 0);
}

function* piecesOf(event: KvEvent): Generator<KvEvent> {
  if (event.type === "cleared" || event.sequenceHashes.length <= blocksPerEvent) {
    yield event;
    return;
  }
  const { sequenceHashes, engineKeys } = event;
  for (let from = 0; from < sequenceHashes.length; from += blocksPerEvent) {
    const to = from + blocksPerEvent;
    const parent = from === 0 ? undefined : sequenceHashes[from - 1];
    const engineParent = from === 0 ? undefined : engineKeys?.[from - 1];
    yield {
      ...event,
      sequenceHashes: sequenceHashes.subarray(from, to),
      ...given("engineKeys", engineKeys?.subarray(from, to)),
      ...(event.type === "stored"
        ? { ...given("parent", parent), ...given("engineParent", engineParent) }
        : {}),
    };
  }
}

function eventToWire(event: KvEvent): WireEvent {
  if (event.type === "cleared")
    return create(KvEventSchema, { event: { case: "cleared", value: { rank: event.rank } } });
  const common = {
    sequenceHashes: bytesOfU64(event.sequenceHashes),
    ...given("engineKeys", event.engineKeys && bytesOfU64(event.engineKeys)),
    tier: tiers.number(event.tier),
    rank: event.rank,
    ...given("group", event.group),
  };
  if (event.type === "removed") return create(KvEventSchema, { event: { case: "removed", value: common } });
  return create(KvEventSchema, {
    event: {
      case: "stored",
      value: { ...common, ...given("parent", event.parent), ...given("engineParent", event.engineParent) },
    },
  });
}

function eventFromWire(wire: WireEvent): KvEvent | undefined {
  const { event } = wire;
  if (event.case === undefined) return undefined;
  if (event.case === "cleared") return { type: "cleared", rank: event.value.rank };
  const common = {
    sequenceHashes: u64OfBytes(event.value.sequenceHashes),
    ...(event.value.engineKeys.length === 0 ? {} : { engineKeys: u64OfBytes(event.value.engineKeys) }),
    tier: tiers.word(event.value.tier, "device"),
    rank: event.value.rank,
    ...given("group", event.value.group),
  };
  if (event.case === "removed") return { type: "removed", ...common };
  return {
    type: "stored",
    ...common,
    ...given("parent", event.value.parent),
    ...given("engineParent", event.value.engineParent),
  };
}

/** Puts the messages of batches together again. */
export interface BatchAssembler {
  /** The batch that this message completes, if it does. */
  add(wire: Wire): KvEventBatch | undefined;
}

/** @param own worker and epoch of batches that name none. */
export function createBatchAssembler(own: {
  readonly worker: string;
  readonly epoch: string;
}): BatchAssembler {
  let events: KvEvent[] = [];
  let nextPart = 0;
  let sequence = 0n;
  return {
    add(wire) {
      if (wire.part === 0) {
        events = [];
        nextPart = 0;
        sequence = wire.sequence;
      }
      if (wire.part !== nextPart || wire.sequence !== sequence) return undefined;
      nextPart += 1;
      if (wire.columns !== undefined) eventsFromColumns(wire.columns, events);
      for (const each of wire.events) {
        const event = eventFromWire(each);
        if (event !== undefined) events.push(event);
      }
      if (wire.partial) return undefined;
      const batch: KvEventBatch = {
        worker: wire.worker === "" ? own.worker : wire.worker,
        epoch: wire.epoch === "" ? own.epoch : wire.epoch,
        sequence: wire.sequence,
        events,
        ...(wire.snapshot ? { isSnapshot: true } : {}),
      };
      events = [];
      nextPart = -1;
      return batch;
    },
  };
}
