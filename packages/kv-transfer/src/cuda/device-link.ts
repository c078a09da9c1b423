import { checkAlive, checkRemoteEpochs } from "../shm/status-check.ts";
import { asTransferError, type TransferError, transferError } from "../transfer-error.ts";
import { checkRemotePieces, liveRegion } from "../transport/check-regions.ts";
import type { Link, RegionMemory, RunBatch, TransportHost, Work } from "../transport/transport.ts";
import { hostSteps, planDeviceCopies } from "./device-copies.ts";
import type { DeviceRegion } from "./device-region.ts";
import type { GpuContext, GpuStream } from "./gpu.ts";
import { createStagingPool, type StagingPool } from "./staging-pool.ts";

export interface DeviceLinkOptions {
  readonly host: TransportHost;
  readonly control: Link;
  /** Opens a peer's region, or throws TRANSFER_REGION_GONE. */
  open(id: number): DeviceRegion;
  release(region: DeviceRegion): void;
}

/** Waited for within the call: asking a thread to wait costs more than what is that short. */
const spinMicros = 50;

interface Kept {
  readonly launch: (stream: GpuStream) => void;
  readonly local: readonly RegionMemory[];
  readonly remote: readonly DeviceRegion[];
}

/** Copies by the initiator's driver, on a stream of its own per device; the peer does nothing. */
export function createDeviceLink({ host, control, open, release }: DeviceLinkOptions): Link {
  const streams = new Map<GpuContext, GpuStream>();
  const stagings = new Map<GpuContext, StagingPool>();
  const running = new Map<Work, { isStopped: boolean }>();
  const kept = new WeakMap<RunBatch, Kept>();
  let isClosed = false;
  const streamOf = (context: GpuContext): GpuStream => {
    let stream = streams.get(context);
    if (stream === undefined) streams.set(context, (stream = context.createStream()));
    return stream;
  };
  const localOf = (id: number): RegionMemory => liveRegion(host, id);
  const stagingsOf = (context: GpuContext): StagingPool => {
    let pool = stagings.get(context);
    if (pool === undefined) stagings.set(context, (pool = createStagingPool(context)));
    return pool;
  };
  const isDone = (stream: GpuStream): boolean => {
    const until = performance.now() + spinMicros / 1000;
    do if (stream.isIdle) return true;
    while (performance.now() < until);
    return false;
  };
  const run = async (work: Work, state: { isStopped: boolean }): Promise<void> => {
    const { batch, operation } = work;
    const opened = new Map<number, DeviceRegion>();
    const remote = (id: number): DeviceRegion => {
      let region = opened.get(id);
      if (region === undefined) {
        opened.set(id, (region = open(id)));
        region.uses += 1;
      }
      return region;
    };
    const verify = (): void => {
      for (const region of opened.values()) checkAlive(region.memory, region.readStatus);
      for (const check of work.epochs) {
        const region = remote(check.region);
        checkRemoteEpochs(region.memory, check, region.readStatus);
      }
      if (state.isStopped || isClosed)
        throw transferError("TRANSFER_CANCELLED", "The transfer was cancelled.");
    };
    try {
      const local: RegionMemory[] = [];
      for (let i = 0; i < batch.runs; i += 1) {
        const there = remote(batch.remoteRegion[i] as number);
        const here = localOf(batch.localRegion[i] as number);
        if (local.at(-1) !== here) local.push(here);
        checkRemotePieces(batch, i, there.memory);
      }
      verify();
      const { context } = remote(batch.remoteRegion[0] as number);
      const stream = streamOf(context);
      const options = { operation, batch, stream, context, local: localOf, remote };
      if (local.some((region) => region.device === undefined)) {
        const pool = stagingsOf(context);
        const taken = pool.take();
        const staging = taken instanceof Promise ? await taken : taken;
        const steps = hostSteps(options, staging);
        try {
          for (let step = steps.next(); step.done !== true; step = steps.next()) {
            if (!isDone(stream)) await stream.synchronize();
            verify();
            step.value.finish?.();
          }
        } finally {
          steps.return();
          pool.give(staging);
        }
      } else {
        let plan = kept.get(batch);
        const isUsable =
          plan?.local.every((region) => host.region(region.id) === region) === true &&
          plan.remote.every((region) => !region.isDropped);
        if (plan === undefined || !isUsable) {
          plan = { launch: planDeviceCopies(options), local, remote: [...opened.values()] };
          kept.set(batch, plan);
        }
        plan.launch(stream);
        if (!isDone(stream)) await stream.synchronize();
      }
      verify();
    } finally {
      for (const region of opened.values()) {
        region.uses -= 1;
        release(region);
      }
    }
  };
  return {
    get isOpen() {
      return control.isOpen && !isClosed;
    },
    post(work) {
      const state = { isStopped: false };
      running.set(work, state);
      const end = (error: TransferError | undefined): void => {
        running.delete(work);
        work.settle(error);
      };
      run(work, state).then(
        () => end(undefined),
        (error: unknown) => end(asTransferError(error, "cuda")),
      );
    },
    cancel(work) {
      const state = running.get(work);
      if (state !== undefined) state.isStopped = true;
    },
    notify: (message) => control.notify?.(message) ?? Promise.resolve(),
    async close() {
      isClosed = true;
      for (const stream of streams.values()) stream.close();
      for (const pool of stagings.values()) pool.close();
      await control.close();
    },
  };
}
