import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  KvEventBatchSchema,
  KvEventSchema,
  KvTier as WireTier,
  type KvEventBatch as KvEventBatchMessage,
} from "@stator/contracts";
import { xxh3, type KvEvent, type KvEventBatch, type KvTier } from "@stator/core";

import { kvBatchOfMessage } from "../service/kv-batch-of-message.ts";
import { bytesOfNames } from "../service/names-on-wire.ts";

/** First bytes of a snapshot; the last one is its version. */
const magic = Uint8Array.from(Buffer.from("STATORX\u0001", "latin1"));
const headBytes = magic.length + 8;

const wireTiers: Readonly<Record<KvTier, WireTier>> = {
  device: WireTier.DEVICE,
  host: WireTier.HOST,
  disk: WireTier.DISK,
  shared: WireTier.SHARED,
};

/** Batches as one file: magic, XXH3-64 of the rest, then each as its length (u32, little endian) and its message. */
export function encodeSnapshot(batches: readonly KvEventBatch[]): Uint8Array {
  const messages = batches.map((batch) => toBinary(KvEventBatchSchema, messageOf(batch)));
  const bytes = new Uint8Array(headBytes + messages.reduce((sum, { length }) => sum + 4 + length, 0));
  const view = new DataView(bytes.buffer);
  bytes.set(magic);
  let at = headBytes;
  for (const message of messages) {
    view.setUint32(at, message.length, true);
    bytes.set(message, at + 4);
    at += 4 + message.length;
  }
  view.setBigUint64(magic.length, xxh3(bytes.subarray(headBytes), 0n), true);
  return bytes;
}

/** The batches of a file; undefined when it is not one, or was damaged. */
export function decodeSnapshot(file: Uint8Array): readonly KvEventBatch[] | undefined {
  // A Buffer's slices are views: names would be read out of their neighbours.
  const bytes = new Uint8Array(file.buffer, file.byteOffset, file.byteLength);
  if (bytes.length < headBytes || magic.some((byte, i) => bytes[i] !== byte)) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.getBigUint64(magic.length, true) !== xxh3(bytes.subarray(headBytes), 0n)) return undefined;
  const batches: KvEventBatch[] = [];
  for (let at = headBytes; at < bytes.length;) {
    const end = at + 4 + view.getUint32(at, true);
    batches.push(kvBatchOfMessage(fromBinary(KvEventBatchSchema, bytes.subarray(at + 4, end))));
    at = end;
  }
  return batches;
}

function messageOf({ worker, epoch, sequence, events }: KvEventBatch): KvEventBatchMessage {
  return create(KvEventBatchSchema, {
    worker,
    epoch,
    sequence,
    snapshot: true,
    events: events.map((event) => create(KvEventSchema, { event: eventOf(event) })),
  });
}

function eventOf(event: KvEvent) {
  if (event.type === "cleared") return { case: "cleared" as const, value: { rank: event.rank } };
  const common = {
    sequenceHashes: bytesOfNames(event.sequenceHashes),
    engineKeys: event.engineKeys === undefined ? new Uint8Array(0) : bytesOfNames(event.engineKeys),
    tier: wireTiers[event.tier],
    rank: event.rank,
    ...(event.group === undefined ? {} : { group: event.group }),
  };
  if (event.type === "removed") return { case: "removed" as const, value: common };
  const { parent, engineParent } = event;
  return {
    case: "stored" as const,
    value: {
      ...common,
      ...(parent === undefined ? {} : { parent }),
      ...(engineParent === undefined ? {} : { engineParent }),
    },
  };
}
