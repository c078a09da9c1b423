import { setMaxListeners } from "node:events";
import { asTransferError, type TransferError, transferError } from "../transfer-error.ts";
import { checkRemotePieces, liveRegion } from "../transport/check-regions.ts";
import type { Link, RegionMemory, RemoteAgent, TransportHost, Work } from "../transport/transport.ts";
import { type ChunkParts, isWhole, partsByChunk } from "./chunk-parts.ts";
import type { ObjectRegion } from "./object-region.ts";
import type { ObjectStore } from "./object-store.ts";

/** A part of a chunk that others write at the same time is tried so often. */
const replaceAttempts = 16;

export interface ObjectLinkOptions {
  readonly host: TransportHost;
  readonly peer: RemoteAgent;
  readonly store: ObjectStore;
  readonly control: Link;
  readonly requestsAtOnce: number;
  /** Throws TRANSFER_REGION_GONE where the peer has published no such objects. */
  region(id: number): ObjectRegion;
}

/** Over a peer's objects: reads are ranged, writes replace whole chunks, or change a part of one if nobody else did meanwhile. */
export function createObjectLink(options: ObjectLinkOptions): Link {
  const { host, store, control } = options;
  const running = new Map<Work, AbortController>();
  const localOf = (id: number): RegionMemory => liveRegion(host, id);
  const read = async (chunk: ChunkParts, signal: AbortSignal): Promise<void> => {
    const { low, high, parts } = chunk;
    const key = options.region(chunk.region).chunkKey(chunk.chunk);
    const found = await store.get(key, { first: low, length: high - low, signal });
    if (found !== undefined && found.bytes.length !== high - low)
      throw transferError("TRANSFER_REGION_GONE", `Object ${key} is shorter than its owner said.`);
    if (signal.aborted) throw transferError("TRANSFER_CANCELLED", "The transfer was cancelled.");
    for (const part of parts)
      // What was never written is zeros.
      localOf(part.localRegion).scatter(
        part.localOffset,
        found?.bytes.subarray(part.offset - low, part.offset - low + part.bytes) ??
          new Uint8Array(part.bytes),
      );
  };
  const write = async (chunk: ChunkParts, signal: AbortSignal): Promise<void> => {
    const region = options.region(chunk.region);
    const key = region.chunkKey(chunk.chunk);
    const size = region.sizeOf(chunk.chunk);
    const patch = (bytes: Uint8Array): Uint8Array => {
      for (const part of chunk.parts)
        bytes.set(localOf(part.localRegion).gather(part.localOffset, part.bytes), part.offset);
      return bytes;
    };
    if (isWhole(chunk, size)) return store.put(key, patch(new Uint8Array(size)), signal);
    for (let attempt = 0; attempt < replaceAttempts; attempt += 1) {
      const before = await store.get(key, { signal });
      const bytes = new Uint8Array(size);
      if (before !== undefined) bytes.set(before.bytes.subarray(0, size));
      if (await store.replace(key, patch(bytes), before?.version, signal)) return;
    }
    throw transferError(
      "TRANSFER_TRANSPORT_FAILED",
      `Object ${key} is written by others all the time: let each writer have chunks of its own.`,
      { key },
    );
  };
  const run = async (work: Work, signal: AbortSignal): Promise<void> => {
    const { batch, operation } = work;
    if (work.epochs.length > 0)
      throw transferError("TRANSFER_STALE_EPOCH", "Regions of objects have no epochs to check against.");
    const regions = new Set<number>();
    for (let i = 0; i < batch.runs; i += 1) {
      const id = batch.remoteRegion[i] as number;
      regions.add(id);
      checkRemotePieces(batch, i, { id, bytes: options.region(id).bytes });
    }
    const mustLive = async (): Promise<void> => {
      for (const id of regions)
        if (!(await store.has(options.region(id).lifeKey, signal)))
          throw transferError("TRANSFER_REGION_GONE", `Region ${id} was deregistered by its owner.`, {
            region: id,
          });
    };
    if (operation === "write") await mustLive();
    const chunks = partsByChunk(batch, (id) => options.region(id).chunkBytes);
    const move = operation === "read" ? read : write;
    let next = 0;
    let failure: unknown;
    const mover = async (): Promise<void> => {
      for (let i = next++; i < chunks.length && failure === undefined; i = next++)
        try {
          await move(chunks[i] as ChunkParts, signal);
        } catch (error) {
          failure ??= error;
        }
    };
    // All of them have ended before anything is told: then none touches memory any more.
    await Promise.all(Array.from({ length: Math.min(options.requestsAtOnce, chunks.length) }, mover));
    if (failure !== undefined) throw failure as Error;
    await mustLive();
  };
  return {
    get isOpen() {
      return control.isOpen;
    },
    post(work) {
      const abort = new AbortController();
      // Every request that is under way listens, and all are told.
      setMaxListeners(0, abort.signal);
      running.set(work, abort);
      const end = (error: TransferError | undefined): void => {
        running.delete(work);
        work.settle(error);
      };
      run(work, abort.signal).then(
        () => end(undefined),
        (error: unknown) => end(asTransferError(error, "s3")),
      );
    },
    cancel: (work) => running.get(work)?.abort(),
    notify: (message) => control.notify?.(message) ?? Promise.resolve(),
    async close() {
      for (const abort of running.values()) abort.abort();
      await control.close();
    },
  };
}
