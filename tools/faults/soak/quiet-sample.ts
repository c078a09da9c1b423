import { readdir, readFile } from "node:fs/promises";
import { Session } from "node:inspector/promises";
import { getHeapStatistics } from "node:v8";
import { pause } from "../pause.ts";

/** Of the caller's process between two loads, after all garbage was collected. */
export interface SoakSample {
  readonly minute: number;
  /** Live objects. */
  readonly heapMb: number;
  /** Memory of objects that live outside the heap, array buffers among it. */
  readonly externalMb: number;
  readonly arrayBuffersMb: number;
  /** What V8 has from the system for its heap, live or not. */
  readonly heapHeldMb: number;
  /** What the allocator of C and C++ has from the system: anonymous pages that are not V8's heap; 0 where the system does not tell. */
  readonly nativeMb: number;
  readonly rssMb: number;
  readonly handles: number;
  /** Open file descriptors; 0 where the system does not tell. */
  readonly descriptors: number;
  readonly listeners: number;
}

/** Samples this process at quiet points. */
export interface QuietSampler {
  /** Nothing may be under way: collects garbage as when memory runs out, which also gives pages back, and then looks. */
  sample(minute: number): Promise<SoakSample>;
  close(): void;
}

export function createQuietSampler(): QuietSampler {
  const session = new Session();
  session.connect();
  return {
    async sample(minute) {
      // Twice, with a turn of the loop between: what finalizers and closing sockets let go is garbage only then.
      await session.post("HeapProfiler.collectGarbage");
      await pause(100);
      await session.post("HeapProfiler.collectGarbage");
      const { heapUsed, external, arrayBuffers, rss } = process.memoryUsage();
      const { total_physical_size: heapHeld } = getHeapStatistics();
      const anonymous = await anonymousBytes();
      return {
        minute: Math.round(minute * 100) / 100,
        heapMb: mb(heapUsed),
        externalMb: mb(external),
        arrayBuffersMb: mb(arrayBuffers),
        heapHeldMb: mb(heapHeld),
        nativeMb: anonymous === undefined ? 0 : mb(anonymous - heapHeld),
        rssMb: mb(rss),
        handles: process.getActiveResourcesInfo().length,
        descriptors: (await readdir("/proc/self/fd").catch(() => [])).length,
        listeners: process.eventNames().reduce((sum, name) => sum + process.listenerCount(name), 0),
      };
    },
    close: () => session.disconnect(),
  };
}

/** Pages of this process that no file is behind; undefined where the system does not tell. */
async function anonymousBytes(): Promise<number | undefined> {
  const status = await readFile("/proc/self/status", "utf8").catch(() => "");
  const kilobytes = /^RssAnon:\s+(\d+) kB/m.exec(status)?.[1];
  return kilobytes === undefined ? undefined : Number(kilobytes) * 1_024;
}

const mb = (bytes: number): number => Math.round((bytes / 2 ** 20) * 100) / 100;
