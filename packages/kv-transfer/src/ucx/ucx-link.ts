import { addressBatch, createLocalTable, hasLocalAddresses, nativeError } from "../native/native-work.ts";
import type { AddonBatch, UcxEndpoint, UcxEngine, UcxStatus } from "../native/transfer-addon.ts";
import { checkAlive, checkRemoteEpochs, epochBlocks } from "../shm/status-check.ts";
import { asTransferError, type TransferError, transferError } from "../transfer-error.ts";
import type {
  Link,
  RegionMemory,
  RemoteAgent,
  RunBatch,
  TransportHost,
  Work,
} from "../transport/transport.ts";
import { readUcxRegion, type UcxRegion } from "./ucx-region.ts";

/** Who is told when a job of the engine ends. */
export type UcxJobs = Map<number, (status: number, message: string) => void>;

export interface UcxLinkOptions {
  readonly host: TransportHost;
  readonly peer: RemoteAgent;
  readonly engine: UcxEngine;
  readonly jobs: UcxJobs;
  readonly endpoint: UcxEndpoint;
  readonly control: Link;
}

interface Prepared {
  readonly batch: AddonBatch;
  readonly views: readonly Uint8Array[];
  readonly local: readonly RegionMemory[];
  readonly regions: readonly UcxRegion[];
  readonly pairs: BigUint64Array;
  readonly keys: readonly Uint8Array[];
}

/** Regions known of one peer before all are looked up anew. */
const knownLimit = 4096;

/** One job of the engine per work: status words, data, status words again, without coming back here in between. */
export function createUcxLink({ host, peer, engine, jobs, endpoint, control }: UcxLinkOptions): Link {
  const running = new Map<Work, number>();
  const known = new Map<number, UcxRegion>();
  const prepared = new WeakMap<RunBatch, Prepared>();
  let isClosing = false;
  const regionOf = (id: number): UcxRegion => {
    let region = known.get(id);
    if (region !== undefined && region.memory === peer.memory(id)) return region;
    region = readUcxRegion(peer, id);
    if (known.size > knownLimit) known.clear();
    known.set(id, region);
    return region;
  };
  const prepare = (work: Work): Prepared => {
    const ready = prepared.get(work.batch);
    if (
      ready?.local.every((memory) => host.region(memory.id) === memory) === true &&
      ready.regions.every((region) => peer.memory(region.memory.id) === region.memory) &&
      ready.views.every((view) => view.byteLength > 0)
    )
      return ready;
    if (!hasLocalAddresses(host, work))
      throw transferError(
        "TRANSFER_PATH_UNAVAILABLE",
        "A local region has no addresses in this process: ucx can't use it.",
      );
    const local = createLocalTable(host);
    const regions: UcxRegion[] = [];
    const pairs: bigint[] = [];
    const keys: Uint8Array[] = [];
    const batch = addressBatch(work.batch, local, (id) => {
      const region = regionOf(id);
      const firstIndex = keys.length;
      regions.push(region);
      pairs.push(...region.pairs);
      keys.push(...region.keys);
      return { firstIndex, segmentBytes: region.segmentBytes };
    });
    const plan: Prepared = {
      batch,
      views: local.views,
      local: local.regions,
      regions,
      pairs: BigUint64Array.from(pairs),
      keys,
    };
    prepared.set(work.batch, plan);
    return plan;
  };
  const verify = (work: Work, regions: readonly UcxRegion[], words: readonly BigUint64Array[]): void => {
    regions.forEach((region, i) => {
      const seen = words[i] as BigUint64Array;
      const read = (first: number, target: BigUint64Array): void =>
        target.set(seen.subarray(first, first + target.length));
      checkAlive(region.memory, read);
      for (const check of work.epochs)
        if (check.region === region.memory.id) checkRemoteEpochs(region.memory, check, read);
    });
  };
  const failure = (message: string): TransferError =>
    transferError("TRANSFER_TRANSPORT_FAILED", `UCX to ${peer.name}: ${message}.`, {
      peer: peer.name,
      transport: "ucx",
      status: message,
    });
  const run = (work: Work): void => {
    const plan = prepare(work);
    const regions = [...plan.regions];
    for (const check of work.epochs)
      if (!regions.some((region) => region.memory.id === check.region)) regions.push(regionOf(check.region));
    // Whole tables only where epochs are asked for: the life of a region is its first word.
    const words = (): BigUint64Array[] =>
      regions.map(
        (region) => new BigUint64Array(work.epochs.length === 0 ? 1 : 1 + epochBlocks(region.memory)),
      );
    const before = words();
    const after = words();
    const job = engine.transfer(
      endpoint,
      work.operation === "read",
      plan.batch,
      plan.views,
      plan.pairs,
      plan.keys,
      {
        addresses: BigUint64Array.from(regions, (region) => region.statusAddress),
        keys: regions.map((region) => region.statusKey),
        before,
        after,
        ...expectations(work, regions),
      },
    );
    running.set(work, job);
    jobs.set(job, (status, message) => {
      // The closure holds the views until UCX is through with them.
      void plan.views;
      running.delete(work);
      if (status === 1)
        return work.settle(transferError("TRANSFER_CANCELLED", "The transfer was cancelled."));
      if (status === 2) return work.settle(failure(message));
      try {
        verify(work, regions, before);
        verify(work, regions, after);
      } catch (error) {
        return work.settle(asTransferError(error, "ucx"));
      }
      work.settle(undefined);
    });
  };
  return {
    get isOpen() {
      return control.isOpen && !isClosing;
    },
    post(work) {
      try {
        run(work);
      } catch (error) {
        work.settle(asTransferError(nativeError(error, peer.name, "ucx"), "ucx"));
      }
    },
    cancel(work) {
      const job = running.get(work);
      if (job !== undefined) engine.stop(job);
    },
    notify: (message) => control.notify?.(message) ?? Promise.resolve(),
    async close() {
      isClosing = true;
      engine.disconnect(endpoint);
      await control.close();
    },
  };
}

/** What a region's words must be before a write: alive, and the epochs that were asked for. */
function expectations(
  work: Work,
  regions: readonly UcxRegion[],
): Pick<UcxStatus, "tables" | "words" | "values"> {
  const tables: number[] = [];
  const words: number[] = [];
  const values: bigint[] = [];
  const expect = (table: number, word: number, value: bigint): void => {
    tables.push(table);
    words.push(word);
    values.push(value);
  };
  regions.forEach((region, table) => {
    expect(table, 0, 1n);
    for (const check of work.epochs)
      if (check.region === region.memory.id)
        check.blocks.forEach((block, i) => {
          if (block < epochBlocks(region.memory)) expect(table, 1 + block, check.expected[i] as bigint);
        });
  });
  return {
    tables: Uint32Array.from(tables),
    words: Uint32Array.from(words),
    values: BigUint64Array.from(values),
  };
}
