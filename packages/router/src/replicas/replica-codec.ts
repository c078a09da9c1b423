import { create, fromBinary, toBinary, type MessageInitShape } from "@bufbuild/protobuf";
import { extended } from "@stator/core";
import { ReplicaMessageSchema, type ReplicaMessage as Wire } from "@stator/contracts";
import { kvBatchOfMessage, messageOfKvBatch } from "../service/kv-batch-of-message.ts";
import { bytesOfNames, namesOfBytes } from "../service/names-on-wire.ts";
import { cardOfMessage, messageOfWorker, workerOfMessage } from "../service/worker-of-message.ts";
import { createBatchJoiner, partsOfBatch, type BatchJoiner, type BatchPart } from "./batch-parts.ts";
import type { ReplicaMessage } from "./replica-message.ts";

type Init = MessageInitShape<typeof ReplicaMessageSchema>;
type Body = NonNullable<Init["message"]>;

/** A message as the wire carries it: one payload, or several for a long batch. `number` gives each its serial. */
export function encodeReplicaMessage(message: ReplicaMessage, number: () => bigint): Uint8Array[] {
  const bodies: Body[] =
    message.type === "observed"
      ? partsOf(message).map((part) => ({ case: "observed", value: messageOfKvBatch(part) }))
      : [bodyOf(message)];
  return bodies.map((body) =>
    toBinary(
      ReplicaMessageSchema,
      create(ReplicaMessageSchema, {
        router: message.router,
        serial: number(),
        ...(message.to === undefined ? {} : { to: message.to }),
        message: body,
      }),
    ),
  );
}

function partsOf({
  batch,
  part,
  isPartial = false,
}: Extract<ReplicaMessage, { readonly type: "observed" }>): BatchPart[] {
  return part === undefined ? [...partsOfBatch(batch)] : [{ batch, part, isPartial }];
}

function bodyOf(message: Exclude<ReplicaMessage, { readonly type: "observed" }>): Body {
  switch (message.type) {
    case "booked": {
      const { chosen, request } = message;
      const { names, promptTokens, phase = "full", expectedOutputTokens } = request;
      return {
        case: "booked",
        value: extended(chosen, {
          booking: BigInt(message.booking),
          sequenceHashes: bytesOfNames(names),
          promptTokens,
          phase,
          ...(expectedOutputTokens === undefined ? {} : { expectedOutputTokens }),
        }),
      };
    }
    case "prefilled":
      return { case: "progressed", value: { booking: BigInt(message.booking), prefilled: true } };
    case "progress":
      return {
        case: "progressed",
        value: { booking: BigInt(message.booking), outputTokens: message.outputTokens },
      };
    case "freed":
      return { case: "freed", value: { booking: BigInt(message.booking) } };
    case "alive":
      return {
        case: "alive",
        value: {
          open: message.open,
          oldestBooking: BigInt(message.oldest),
          workers: message.workers.map(({ worker, epoch, next }) => ({ worker, epoch, nextSequence: next })),
        },
      };
    case "left":
      return { case: "left", value: {} };
    case "wanted":
      return { case: "wanted", value: { worker: message.worker } };
    case "workerAdded":
      return { case: "workerAdded", value: messageOfWorker(message.worker, message.card) };
    case "workerRemoved":
      return { case: "workerRemoved", value: { worker: message.worker, epoch: message.epoch } };
  }
}

/** Reads what one channel brings: each message once, long batches whole, whatever else is on the topic ignored. */
export interface ReplicaDecoder {
  decode(payload: Uint8Array): ReplicaMessage | undefined;
}

/** Lives of routers that are remembered. */
const MOST_ROUTERS = 1024;

export function createReplicaDecoder(): ReplicaDecoder {
  const routers = new Map<
    string,
    { readonly isNew: (serial: bigint) => boolean; readonly joiner: BatchJoiner }
  >();
  return {
    decode(payload) {
      let wire: Wire;
      try {
        wire = fromBinary(ReplicaMessageSchema, payload);
      } catch {
        return undefined;
      }
      let sender = routers.get(wire.router);
      if (sender === undefined) {
        routers.set(wire.router, (sender = { isNew: createSerialWindow(), joiner: createBatchJoiner() }));
        if (routers.size > MOST_ROUTERS) routers.delete(routers.keys().next().value!);
      }
      // Another way round brings it again.
      if (!sender.isNew(wire.serial)) return undefined;
      const head = { router: wire.router, ...(wire.to === "" ? {} : { to: wire.to }) };
      return messageOf(head, wire, sender.joiner);
    },
  };
}

/** Serials among which the order of arrival does not matter. */
const WINDOW = 1024;

/** Tells each serial once; those far behind the newest count as seen. */
function createSerialWindow(): (serial: bigint) => boolean {
  const seen = new BigUint64Array(WINDOW);
  let newest = 0n;
  return (serial) => {
    const slot = Number(serial % BigInt(WINDOW));
    if (serial + BigInt(WINDOW) <= newest || seen[slot] === serial) return false;
    seen[slot] = serial;
    if (serial > newest) newest = serial;
    return true;
  };
}

/** `head` stands last: what follows a spread is slow to add (core's `extended` says why), and these come with every request. */
function messageOf(
  head: { readonly router: string; readonly to?: string },
  { message }: Wire,
  joiner: BatchJoiner,
): ReplicaMessage | undefined {
  switch (message.case) {
    case "booked": {
      const { value } = message;
      const { worker, epoch, rank, cachedTokens, promptTokens, phase, expectedOutputTokens } = value;
      return {
        type: "booked",
        booking: Number(value.booking),
        chosen: { worker, epoch, rank, cachedTokens },
        request: {
          names: namesOfBytes(value.sequenceHashes),
          promptTokens,
          phase: phase === "prefill" || phase === "decode" ? phase : "full",
          ...(expectedOutputTokens === undefined ? {} : { expectedOutputTokens }),
        },
        ...head,
      };
    }
    case "progressed": {
      const { prefilled, outputTokens } = message.value;
      const booking = Number(message.value.booking);
      return prefilled
        ? { type: "prefilled", booking, ...head }
        : { type: "progress", booking, outputTokens, ...head };
    }
    case "freed":
      return { type: "freed", booking: Number(message.value.booking), ...head };
    case "alive": {
      const { open, oldestBooking, workers } = message.value;
      return {
        ...head,
        type: "alive",
        open,
        oldest: Number(oldestBooking),
        workers: workers.map(({ worker, epoch, nextSequence }) => ({ worker, epoch, next: nextSequence })),
      };
    }
    case "left":
      return { ...head, type: "left" };
    case "wanted":
      return { ...head, type: "wanted", worker: message.value.worker };
    case "workerAdded": {
      const worker = workerOfMessage(message.value);
      return worker && { ...head, type: "workerAdded", worker, card: cardOfMessage(message.value) };
    }
    case "workerRemoved":
      return {
        ...head,
        type: "workerRemoved",
        worker: message.value.worker,
        epoch: message.value.epoch ?? "",
      };
    case "observed": {
      const { part, partial } = message.value;
      const batch = joiner.add({ batch: kvBatchOfMessage(message.value), part, isPartial: partial });
      return batch && { ...head, type: "observed", batch };
    }
    case undefined:
      return undefined;
  }
}
