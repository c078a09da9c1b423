import { checkRemoteEpochs, type ReadStatus } from "../shm/status-check.ts";
import { asTransferError, type TransferError, transferError } from "../transfer-error.ts";
import type {
  Link,
  PreparedBatch,
  RegionMemory,
  RemoteMemory,
  RunBatch,
  TransportHost,
  Work,
} from "../transport/transport.ts";
import { addressBatch, createLocalTable, nativeError } from "./native-work.ts";
import type { AddonBatch, NativePlan, TransferAddon } from "./transfer-addon.ts";

/** Copied within the call; more goes to the addon's own threads. */
const defaultInlineBytes = 4 * 1024 * 1024;

/** A peer's region as a one-sided transport of the addon addresses it. */
export interface PlannedRegion {
  readonly memory: RemoteMemory;
  readonly readStatus: ReadStatus;
  /** Sizes of its parts, in the order in which they stand in the plan's table. */
  readonly segmentBytes: readonly number[];
}

export interface PlannedLinkOptions<R extends PlannedRegion> {
  readonly transport: string;
  readonly host: TransportHost;
  readonly peerName: string;
  readonly addon: TransferAddon;
  readonly control: Link;
  /** Moved within the call; more by the addon's threads. Default 4 MiB. */
  readonly inlineBytes?: number;
  /** Throws TRANSFER_REGION_GONE where there is none. */
  region(id: number): R;
  isCurrent(region: R): boolean;
  plan(batch: AddonBatch, views: readonly Uint8Array[], regions: readonly R[]): NativePlan;
  /** Regions that threads work on from now on, and no longer. */
  onBusy?(regions: readonly R[]): void;
  onIdle?(regions: readonly R[]): void;
}

interface Prepared<R> extends PreparedBatch {
  readonly native: NativePlan;
  readonly views: readonly Uint8Array[];
  readonly local: readonly RegionMemory[];
  readonly regions: readonly R[];
}

/** A link that knows which batches it has planned. */
export interface PlannedLink extends Link {
  hasPlanned(batch: RunBatch): boolean;
}

/** A link whose initiator does all the work: batches become plans of the addon, kept for transfers that are posted again. */
export function createPlannedLink<R extends PlannedRegion>(options: PlannedLinkOptions<R>): PlannedLink {
  const { host, addon, control, transport, peerName } = options;
  const inlineBytes = options.inlineBytes ?? defaultInlineBytes;
  const stops = new Map<Work, () => void>();
  const self = {};
  const planOf = (batch: RunBatch): Prepared<R> | undefined => {
    const { prepared } = batch;
    return prepared?.by === self && prepared.of === batch ? (prepared as Prepared<R>) : undefined;
  };
  let isClosed = false;
  const wrap = (error: unknown): TransferError =>
    asTransferError(nativeError(error, peerName, transport), transport);
  const gone = (plan: Prepared<R>): TransferError =>
    transferError(
      "TRANSFER_REGION_GONE",
      `A region of peer ${peerName} (${plan.regions.map((region) => region.memory.id).join(", ")}) was deregistered by its owner.`,
      { peer: peerName },
    );
  const isUsable = (plan: Prepared<R>): boolean => {
    for (const region of plan.regions) if (!options.isCurrent(region)) return false;
    for (const memory of plan.local) if (!memory.isAlive) return false;
    for (const view of plan.views) if (view.byteLength === 0) return false;
    return true;
  };
  const prepare = (batch: RunBatch): Prepared<R> => {
    const local = createLocalTable(host);
    const regions: R[] = [];
    let parts = 0;
    const addressed = addressBatch(batch, local, (id) => {
      const region = options.region(id);
      regions.push(region);
      parts += region.segmentBytes.length;
      return { firstIndex: parts - region.segmentBytes.length, segmentBytes: region.segmentBytes };
    });
    const plan: Prepared<R> = {
      by: self,
      of: batch,
      native: options.plan(addressed, local.views, regions),
      views: local.views,
      local: local.regions,
      regions,
    };
    batch.prepared = plan;
    return plan;
  };
  const checkEpochs = (work: Work): void => {
    for (const check of work.epochs) {
      const region = options.region(check.region);
      checkRemoteEpochs(region.memory, check, region.readStatus);
    }
  };
  const runOnThreads = (work: Work, plan: Prepared<R>): void => {
    options.onBusy?.(plan.regions);
    const end = (error: TransferError | undefined): void => {
      stops.delete(work);
      options.onIdle?.(plan.regions);
      work.settle(error);
    };
    const stop = addon.runPlanAsync(plan.native, work.operation === "read", (status, code, message) => {
      if (status === 3) return end(wrap({ code, message }));
      if (status === 2) return end(transferError("TRANSFER_CANCELLED", "The transfer was cancelled."));
      if (status === 1) return end(gone(plan));
      try {
        checkEpochs(work);
      } catch (error) {
        return end(wrap(error));
      }
      end(undefined);
    });
    stops.set(work, stop);
  };
  /** Undefined once it is done, "later" if threads go on with it. */
  const run = (work: Work): TransferError | "later" | undefined => {
    if (isClosed)
      return transferError("TRANSFER_TRANSPORT_FAILED", `The ${transport} link is closed.`, { transport });
    let plan = planOf(work.batch);
    if (plan === undefined || !isUsable(plan)) plan = prepare(work.batch);
    if (work.epochs.length > 0) checkEpochs(work);
    if (work.batch.totalBytes > inlineBytes) {
      runOnThreads(work, plan);
      return "later";
    }
    if (addon.runPlan(plan.native, work.operation === "read") !== 0) return gone(plan);
    if (work.epochs.length > 0) checkEpochs(work);
    return undefined;
  };
  return {
    get isOpen() {
      return !isClosed && control.isOpen;
    },
    hasPlanned: (batch) => planOf(batch) !== undefined,
    post(work) {
      let error: TransferError | "later" | undefined;
      try {
        error = run(work);
      } catch (failure) {
        error = wrap(failure);
      }
      if (error !== "later") work.settle(error);
    },
    cancel: (work) => stops.get(work)?.(),
    notify: (message) => control.notify?.(message) ?? Promise.resolve(),
    async close() {
      isClosed = true;
      for (const stop of stops.values()) stop();
      await control.close();
    },
  };
}
