import { markAsUntransferable } from "node:worker_threads";
import { createByteWriter } from "../byte-codec.ts";
import type { TransferAddon, WireEngine } from "../native/transfer-addon.ts";
import { type TransferError, transferError, transferErrorCodes } from "../transfer-error.ts";
import type { RegionMemory, TransportHost } from "../transport/transport.ts";

/** The native end of a transport's data connections: its threads serve peers and carry transfers while the event loop is busy. */
export interface WireHub {
  readonly engine: WireEngine;
  /** Lets peers at the region; what they need to know of it, or nothing where it has no addresses. */
  exportRegion(region: RegionMemory): Uint8Array | undefined;
  forgetRegion(id: number): void;
  /** Takes over a socket. `onClosed` is called once, unless `detach` came first. */
  attach(fd: number, isDialer: boolean, greeting: Uint8Array | undefined, onClosed: () => void): number;
  detach(connection: number): void;
  /** `arrivedBytes` of a read are its caller's already, in the order of its pieces. */
  onSettled(job: number, settle: (error: TransferError | undefined, arrivedBytes: number) => void): void;
  close(): void;
}

export function createWireHub(addon: TransferAddon, transport: string, host: TransportHost): WireHub {
  const jobs = new Map<number, (error: TransferError | undefined, arrivedBytes: number) => void>();
  const connections = new Map<number, () => void>();
  const exported = new Map<number, { readonly region: RegionMemory; readonly info: Uint8Array }>();
  const errorOf = (status: number, message: string): TransferError => {
    const code = transferErrorCodes[status - 1] ?? "TRANSFER_TRANSPORT_FAILED";
    return code === "TRANSFER_TRANSPORT_FAILED"
      ? transferError(code, `The ${transport} data connection failed: ${message}.`, { transport })
      : transferError(code, message, { transport });
  };
  const engine = new addon.Wire((kind, id, status, message, bytes) => {
    if (kind === 0) {
      const settle = jobs.get(id);
      jobs.delete(id);
      settle?.(status === 0 ? undefined : errorOf(status, message), bytes);
    } else if (kind === 1) {
      const onClosed = connections.get(id);
      connections.delete(id);
      onClosed?.();
    } else {
      const refused = errorOf(status, message);
      host.logger.warn("refused a peer's transfer", { transport, code: refused.code, reason: message });
    }
  });
  return {
    engine,
    exportRegion(region) {
      const known = exported.get(region.id);
      if (known?.region === region) return known.info;
      const { segments, status } = region;
      if (segments === undefined || status === undefined) return undefined;
      // Threads read it without asking the runtime: what is handed to a worker would be gone under them.
      for (const segment of segments) markAsUntransferable(segment.buffer as ArrayBuffer);
      engine.addRegion(region.id, region.key, segments, status);
      const writer = createByteWriter(8 + segments.length * 8).u32(segments.length);
      for (const segment of segments) writer.offset(segment.byteLength);
      const info = Uint8Array.from(writer.finish());
      exported.set(region.id, { region, info });
      return info;
    },
    forgetRegion(id) {
      if (exported.delete(id)) engine.removeRegion(id);
    },
    attach(fd, isDialer, greeting, onClosed) {
      const connection = engine.attach(fd, isDialer, greeting);
      connections.set(connection, onClosed);
      return connection;
    },
    detach(connection) {
      if (connections.delete(connection)) engine.detach(connection);
    },
    onSettled: (job, settle) => jobs.set(job, settle),
    close() {
      connections.clear();
      engine.close();
    },
  };
}
