import { transferError } from "../transfer-error.ts";
import type { RegionMemory, RunBatch, TransferOperation } from "../transport/transport.ts";
import type { DeviceRegion } from "./device-region.ts";
import type { GpuContext, GpuMemory, GpuStream } from "./gpu.ts";
import { createRegroupTable } from "./regroup-table.ts";
import { type Staging, stagingBytes } from "./staging-pool.ts";

/** From here on a piece is worth a copy of its own: the driver's is the fastest there is, and costs microseconds to ask for. */
const wholeBytes = 1024 * 1024;
/** Between host and device such copies pay earlier: what is smaller goes through a staging buffer, many at once. */
const hostWholeBytes = 65_536;

/** Copies of a batch, given to a stream step by step. Between steps it may be abandoned; `finish` ends a step once the stream has done it. */
export type DeviceSteps = Generator<{ finish?(): void }, void>;

export interface DeviceCopyOptions {
  readonly operation: TransferOperation;
  readonly batch: RunBatch;
  readonly stream: GpuStream;
  /** Of the device that the remote regions lie on. */
  readonly context: GpuContext;
  local(id: number): RegionMemory;
  remote(id: number): DeviceRegion;
}

/** Between device memory here and there: one launch for all small pieces, the driver's copy for large ones. Kept for batches that are posted again. */
export function planDeviceCopies(options: DeviceCopyOptions): (stream: GpuStream) => void {
  const { batch, operation, context } = options;
  const table = createRegroupTable();
  const whole: {
    readonly target: GpuMemory;
    readonly source: GpuMemory;
    readonly targetOffset: number;
    readonly sourceOffset: number;
    readonly bytes: number;
  }[] = [];
  for (let run = 0; run < batch.runs; run += 1) {
    const here = backingOf(options.local(batch.localRegion[run] as number));
    const there = options.remote(batch.remoteRegion[run] as number).device;
    const [localOffset, localStride] = [batch.localOffset[run] as number, batch.localStride[run] as number];
    const [remoteOffset, remoteStride] = [
      batch.remoteOffset[run] as number,
      batch.remoteStride[run] as number,
    ];
    const bytes = batch.pieceBytes[run] as number;
    const count = batch.pieces[run] as number;
    const isRead = operation === "read";
    // Kernels of one device reach another's memory only where peer access was asked for; the driver's copies always do.
    if (bytes < wholeBytes && here.device === context.device.index) {
      const [local, remote] = [
        here.memory.address + BigInt(localOffset),
        there.address + BigInt(remoteOffset),
      ];
      if (isRead) table.add(remote, local, bytes, remoteStride, localStride, count);
      else table.add(local, remote, bytes, localStride, remoteStride, count);
      continue;
    }
    for (let k = 0; k < count; k += 1) {
      const [l, r] = [localOffset + k * localStride, remoteOffset + k * remoteStride];
      whole.push(
        isRead
          ? { target: here.memory, source: there, targetOffset: l, sourceOffset: r, bytes }
          : { target: there, source: here.memory, targetOffset: r, sourceOffset: l, bytes },
      );
    }
  }
  const launch = table.isEmpty ? undefined : table.upload(context);
  return (stream) => {
    launch?.launch(stream);
    for (const { target, source, ...range } of whole) context.copy(target, source, { ...range, stream });
  };
}

/** Between host memory here and device memory there. Small pieces are gathered on the device and cross the bus together. */
export function* hostSteps(options: DeviceCopyOptions, { device, host }: Staging): DeviceSteps {
  const { batch, operation, context, stream } = options;
  const isRead = operation === "read";
  let table = createRegroupTable();
  let held: {
    readonly region: RegionMemory;
    readonly offset: number;
    readonly at: number;
    readonly bytes: number;
  }[] = [];
  let filled = 0;
  const flush = function* (): DeviceSteps {
    const [pieces, bytes] = [held, filled];
    const launch = table.upload(context);
    table = createRegroupTable();
    held = [];
    filled = 0;
    try {
      if (isRead) {
        launch.launch(stream);
        context.copy(host, device, { bytes, stream });
      } else {
        context.copy(device, host, { bytes, stream });
        launch.launch(stream);
      }
      yield {
        finish() {
          if (!isRead) return;
          for (const { region, offset, at, bytes: length } of pieces)
            region.scatter(offset, host.subarray(at, at + length));
        },
      };
    } finally {
      launch.memory.close();
    }
  };
  for (let run = 0; run < batch.runs; run += 1) {
    const region = options.local(batch.localRegion[run] as number);
    const there = options.remote(batch.remoteRegion[run] as number).device;
    const bytes = batch.pieceBytes[run] as number;
    for (let k = 0; k < (batch.pieces[run] as number); k += 1) {
      const l = (batch.localOffset[run] as number) + k * (batch.localStride[run] as number);
      const r = (batch.remoteOffset[run] as number) + k * (batch.remoteStride[run] as number);
      const view = bytes < hostWholeBytes ? undefined : viewOf(region, l, bytes);
      if (view !== undefined) {
        if (isRead) context.copy(view, there, { sourceOffset: r, bytes, stream });
        else context.copy(there, view, { targetOffset: r, bytes, stream });
        continue;
      }
      for (let done = 0; done < bytes;) {
        const take = Math.min(bytes - done, stagingBytes - filled);
        const [far, near] = [there.address + BigInt(r + done), device.address + BigInt(filled)];
        if (isRead) {
          table.add(far, near, take, take, take, 1);
          held.push({ region, offset: l + done, at: filled, bytes: take });
        } else {
          host.set(region.gather(l + done, take), filled);
          table.add(near, far, take, take, take, 1);
        }
        filled += take;
        done += take;
        if (filled === stagingBytes) yield* flush();
      }
    }
  }
  if (filled === 0) yield {};
  else yield* flush();
}

function viewOf(region: RegionMemory, offset: number, bytes: number): Uint8Array | undefined {
  const only = region.segments?.length === 1 ? region.segments[0] : undefined;
  return only === undefined || only.byteLength === 0 ? undefined : only.subarray(offset, offset + bytes);
}

function backingOf(region: RegionMemory): { readonly memory: GpuMemory; readonly device: number } {
  if (region.device === undefined)
    throw transferError("TRANSFER_REGION_GONE", `Region ${region.id} has no device memory.`, {
      region: region.id,
    });
  return { memory: region.device.memory, device: region.device.device.index };
}
