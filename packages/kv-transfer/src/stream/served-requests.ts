import { asTransferError, type TransferError, transferError } from "../transfer-error.ts";
import { createScatter, gatherChunks } from "../transport/piece-walk.ts";
import type { TransportHost } from "../transport/transport.ts";
import { admitBatch, type AdmittedBatch } from "./batch-codec.ts";
import { chunkBytes } from "./frame.ts";

interface Served {
  readonly admitted: AdmittedBatch;
  readonly scatter: ReturnType<typeof createScatter> | undefined;
  isStopped: boolean;
}

export interface ServedRequestsOptions {
  readonly transport: string;
  readonly host: TransportHost;
  peerName(): string | undefined;
  sendData(request: number, parts: readonly Uint8Array[]): void;
  sendEnd(request: number, error: TransferError | undefined): void;
  /** Resolves when there is room for more data. */
  room(): Promise<void>;
  /** Resolves when the kernel has taken all data. */
  flushed(): Promise<void>;
  isOpen(): boolean;
}

/** The peer's reads and writes on this agent's regions: checked before a byte moves, and again after the last. */
export interface ServedRequests {
  take(request: number, isRead: boolean, head: Uint8Array): void;
  data(request: number, chunk: Uint8Array): void;
  cancel(request: number): void;
  clear(): void;
}

export function createServedRequests(options: ServedRequestsOptions): ServedRequests {
  const { host, transport } = options;
  const served = new Map<number, Served>();
  const serveRead = async (request: number, entry: Served): Promise<void> => {
    const { admitted } = entry;
    try {
      for (const parts of gatherChunks(admitted.batch, "remote", admitted.resolve, chunkBytes)) {
        await options.room();
        if (entry.isStopped || !options.isOpen()) break;
        options.sendData(request, parts);
      }
      // What the kernel has not taken yet may still change under us: the epochs are read after it has.
      await options.flushed();
      if (entry.isStopped) throw transferError("TRANSFER_CANCELLED", "The reader cancelled.");
      admitted.recheck();
      options.sendEnd(request, undefined);
    } catch (error) {
      options.sendEnd(request, asTransferError(error, transport));
    } finally {
      served.delete(request);
    }
  };
  return {
    take(request, isRead, head) {
      try {
        const admitted = admitBatch(head, host.admit);
        const entry: Served = {
          admitted,
          scatter: isRead ? undefined : createScatter(admitted.batch, "remote", admitted.resolve),
          isStopped: false,
        };
        served.set(request, entry);
        if (isRead) void serveRead(request, entry);
      } catch (error) {
        const refused = asTransferError(error, transport);
        host.logger.warn("refused a peer's transfer", {
          peer: options.peerName(),
          transport,
          code: refused.code,
          reason: refused.message,
        });
        options.sendEnd(request, refused);
      }
    },
    data(request, chunk) {
      const entry = served.get(request);
      if (entry?.scatter === undefined || entry.isStopped) return;
      try {
        if (chunk.length > entry.scatter.left)
          throw transferError("TRANSFER_OUT_OF_BOUNDS", "The peer sent more bytes than it announced.");
        entry.admitted.recheck();
        entry.scatter.put(chunk);
        if (entry.scatter.left > 0) return;
        entry.admitted.recheck();
        served.delete(request);
        options.sendEnd(request, undefined);
      } catch (error) {
        served.delete(request);
        options.sendEnd(request, asTransferError(error, transport));
      }
    },
    cancel(request) {
      const entry = served.get(request);
      if (entry === undefined) return;
      entry.isStopped = true;
      if (entry.scatter === undefined) return;
      served.delete(request);
      options.sendEnd(request, transferError("TRANSFER_CANCELLED", "The writer cancelled."));
    },
    clear() {
      for (const entry of served.values()) entry.isStopped = true;
      served.clear();
    },
  };
}
