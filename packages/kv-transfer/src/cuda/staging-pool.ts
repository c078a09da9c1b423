import type { GpuContext, GpuMemory } from "./gpu.ts";

/** Bytes of each side of a staging buffer. */
export const stagingBytes: number = 4 * 1024 * 1024;
/** Transfers that stage at once; page-locked memory is dear to make, and taken from everybody. */
const mostStagings = 4;

/** Small pieces are gathered here, on the device, and cross the bus together, to and from page-locked memory. */
export interface Staging {
  readonly device: GpuMemory;
  readonly host: Uint8Array;
}

export interface StagingPool {
  /** At once where one is free, so that a posted copy does not wait for the event loop; else when a transfer has given its own back. */
  take(): Staging | Promise<Staging>;
  give(staging: Staging): void;
  close(): void;
}

/** Staging buffers of one device, made when they are first needed and used again. */
export function createStagingPool(context: GpuContext): StagingPool {
  const free: Staging[] = [];
  const waiting: ((staging: Staging) => void)[] = [];
  let made = 0;
  let isClosed = false;
  return {
    take() {
      const staging = free.pop();
      if (staging !== undefined) return staging;
      if (made >= mostStagings) return new Promise((resolve) => waiting.push(resolve));
      const device = context.allocate(stagingBytes);
      try {
        const host = context.pinned(stagingBytes);
        made += 1;
        return { device, host };
      } catch (error) {
        device.close();
        throw error;
      }
    },
    give(staging) {
      const next = waiting.shift();
      if (next !== undefined) next(staging);
      else if (isClosed) staging.device.close();
      else free.push(staging);
    },
    close() {
      isClosed = true;
      for (const { device } of free.splice(0)) device.close();
    },
  };
}
