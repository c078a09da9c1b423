import { restOf } from "../agent/batch-rest.ts";
import { createByteReader } from "../byte-codec.ts";
import { addressBatch, createLocalTable, hasLocalAddresses, nativeError } from "../native/native-work.ts";
import type { AddonBatch, WireChecks, WireParts } from "../native/transfer-addon.ts";
import { spreadWork } from "../stream/spread-work.ts";
import type { StreamsLink } from "../stream/stream-transport.ts";
import { asTransferError, transferError } from "../transfer-error.ts";
import type {
  EpochCheck,
  Link,
  RegionMemory,
  RemoteAgent,
  RemoteMemory,
  RunBatch,
  TransportHost,
  Work,
} from "../transport/transport.ts";
import type { WireHub } from "./wire-hub.ts";

interface Prepared {
  readonly batch: AddonBatch;
  readonly views: readonly Uint8Array[];
  readonly parts: WireParts;
  readonly local: readonly RegionMemory[];
  readonly remote: readonly RemoteMemory[];
}

const noChecks: WireChecks = {
  regions: new Uint32Array(0),
  blocks: new Uint32Array(0),
  expected: new BigUint64Array(0),
};

/** Data over native connections; notifications, and regions without addresses, over the stream beside them. */
export function createWireLink(
  transport: string,
  host: TransportHost,
  peer: RemoteAgent,
  hub: WireHub,
  control: StreamsLink,
  connections: readonly number[],
): Link {
  const { engine } = hub;
  const running = new Map<Work, { readonly connection: number; readonly job: number }>();
  const prepared = new WeakMap<RunBatch, Prepared>();
  const spread = spreadWork(connections.length);
  let next = 0;
  const segmentsOf = (memory: RemoteMemory | undefined): readonly number[] | undefined => {
    const info = memory?.exported.get(transport);
    if (info === undefined || info.length === 0) return undefined;
    const reader = createByteReader(info, "Region parts");
    return Array.from({ length: reader.count(8) }, () => reader.offset());
  };
  const isNative = (work: Work): boolean => {
    if (prepared.has(work.batch)) return true;
    let last = -1;
    for (let run = 0; run < work.batch.runs; run += 1) {
      const id = work.batch.remoteRegion[run] as number;
      if (id !== last && (peer.memory(id)?.exported.get(transport)?.length ?? 0) === 0) return false;
      last = id;
    }
    return hasLocalAddresses(host, work);
  };
  const isUsable = (plan: Prepared): boolean =>
    plan.local.every((memory) => host.region(memory.id) === memory) &&
    plan.remote.every((memory) => peer.memory(memory.id) === memory) &&
    plan.views.every((view) => view.byteLength > 0);
  const prepare = (batch: RunBatch): Prepared => {
    const local = createLocalTable(host);
    const remote: RemoteMemory[] = [];
    const named = {
      regions: [] as number[],
      segments: [] as number[],
      keys: [] as bigint[],
      bytes: [] as number[],
    };
    const addressed = addressBatch(batch, local, (id) => {
      const memory = peer.memory(id);
      const segmentBytes = segmentsOf(memory);
      if (memory === undefined || segmentBytes === undefined)
        throw transferError(
          "TRANSFER_REGION_GONE",
          `Peer ${peer.name} has published no region ${id} (any more).`,
          {
            peer: peer.name,
            region: id,
          },
        );
      remote.push(memory);
      const firstIndex = named.regions.length;
      segmentBytes.forEach((bytes, segment) => {
        named.regions.push(id);
        named.segments.push(segment);
        named.keys.push(memory.key);
        named.bytes.push(bytes);
      });
      return { firstIndex, segmentBytes };
    });
    const plan: Prepared = {
      batch: addressed,
      views: local.views,
      parts: {
        regions: Uint32Array.from(named.regions),
        segments: Uint32Array.from(named.segments),
        keys: BigUint64Array.from(named.keys),
        bytes: Float64Array.from(named.bytes),
      },
      local: local.regions,
      remote,
    };
    prepared.set(batch, plan);
    return plan;
  };
  const postPart = (work: Work): void => {
    try {
      let plan = prepared.get(work.batch);
      if (plan === undefined || !isUsable(plan)) plan = prepare(work.batch);
      const connection = connections[next++ % connections.length] as number;
      const job = engine.transfer(
        connection,
        work.operation === "read",
        plan.batch,
        plan.views,
        plan.parts,
        work.epochs.length === 0 ? noChecks : checksOf(work.epochs),
      );
      if (job === 0) return work.settle(undefined);
      running.set(work, { connection, job });
      const { views } = plan;
      hub.onSettled(job, (error, arrivedBytes) => {
        // Kept until here: the threads write into them.
        void views;
        running.delete(work);
        work.settle(error, error === undefined ? undefined : restOf(work.batch, arrivedBytes));
      });
    } catch (error) {
      work.settle(asTransferError(nativeError(error, peer.name, transport), transport));
    }
  };
  return {
    get isOpen() {
      return control.isOpen;
    },
    post(work) {
      if (!control.isOpen || !isNative(work)) return control.post(work);
      spread.post(work, (part) => postPart(part));
    },
    cancel(work) {
      for (const part of spread.parts(work)) {
        const known = running.get(part);
        if (known !== undefined) engine.stop(known.connection, known.job);
      }
      control.cancel(work);
    },
    notify: (message) => control.notify?.(message) ?? Promise.resolve(),
    async close() {
      for (const connection of connections) hub.detach(connection);
      await control.close();
    },
  };
}

function checksOf(epochs: readonly EpochCheck[]): WireChecks {
  const regions: number[] = [];
  const blocks: number[] = [];
  const expected: bigint[] = [];
  for (const check of epochs)
    check.blocks.forEach((block, i) => {
      regions.push(check.region);
      blocks.push(block);
      expected.push(check.expected[i] as bigint);
    });
  return {
    regions: Uint32Array.from(regions),
    blocks: Uint32Array.from(blocks),
    expected: BigUint64Array.from(expected),
  };
}
