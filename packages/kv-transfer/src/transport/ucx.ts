import { createByteReader, createByteWriter } from "../byte-codec.ts";
import { requireTransferAddon, type UcxEngine } from "../native/transfer-addon.ts";
import { asTransferError, transferError } from "../transfer-error.ts";
import { createUcxLink, type UcxJobs } from "../ucx/ucx-link.ts";
import { openTcp, type TcpOptions } from "./tcp.ts";
import type { RegionMemory, RemoteAgent, Transport } from "./transport.ts";

/** UCX's library as the loader finds it. */
export const defaultUcxLibrary = "libucp.so.0";

/** Of `TcpOptions` what concerns the connection beside UCX. There is no TLS: UCX would carry the data in the clear beside it. */
export interface UcxOptions extends Pick<TcpOptions, "host" | "port" | "advertise"> {
  /** Library to open. Default `libucp.so.0`. Versions 1.13 to 1.22 are served by one build. */
  readonly library?: string;
}

/**
 * UCX, opened at run time: RDMA verbs, NVLink, shared memory or TCP, whatever it finds (`UCX_TLS` and the like are the operator's). A thread of the addon
 * drives it. Bounds are checked here before UCX sees an address, since its emulated writes are not checked at the target. Notifications and the peer's
 * end go over a TCP connection of our own protocol beside it.
 *
 * @throws TransferError TRANSFER_NATIVE_UNAVAILABLE when an agent is created with it and the addon or UCX is missing
 */
export function ucx(options: UcxOptions = {}): Transport {
  return {
    name: "ucx",
    async open(host) {
      const addon = requireTransferAddon("The ucx transport");
      const library = options.library ?? defaultUcxLibrary;
      let engine: UcxEngine;
      const jobs: UcxJobs = new Map();
      try {
        engine = new addon.Ucx(library, (_kind, job, status, message) => {
          const settle = jobs.get(job);
          jobs.delete(job);
          settle?.(status, message);
        });
      } catch (error) {
        throw transferError(
          "TRANSFER_NATIVE_UNAVAILABLE",
          `UCX can't be used: ${(error as Error).message}. Install libucx0, or leave the transport out.`,
          { library },
          error,
        );
      }
      const split = (
        peer: RemoteAgent,
      ): { readonly control: Uint8Array; readonly address: Uint8Array } | undefined => {
        const raw = peer.connections.get("ucx");
        if (raw === undefined) return undefined;
        const reader = createByteReader(raw, "UCX address");
        return { control: reader.bytes(4096), address: reader.bytes(65_536) };
      };
      const control = await openTcp(
        "ucx",
        { ...options, dataPath: "typescript" },
        host,
        (peer) => split(peer)?.control,
      );
      const info = createByteWriter().bytes(control.connectionInfo()).bytes(engine.address()).finish();
      const registered = new Map<
        number,
        { readonly region: RegionMemory; readonly exported: Uint8Array; readonly ids: readonly number[] }
      >();
      const unregister = (id: number): void => {
        for (const memory of registered.get(id)?.ids ?? []) engine.unregister(memory);
        registered.delete(id);
      };
      const path = `UCX ${engine.version()}${process.env.UCX_TLS === undefined ? "" : ` (UCX_TLS=${process.env.UCX_TLS})`}`;
      return {
        name: "ucx",
        capabilities: {
          scope: "network",
          memory: ["host"],
          isOneSided: false,
          acknowledges: "remote",
          boundsCheckedBy: "initiator",
          carriesNotifications: true,
        },
        connectionInfo: () => info,
        exportRegion(region) {
          const { segments, status } = region;
          if (segments === undefined || status === undefined)
            return { reason: "the region has no addresses in its process" };
          const known = registered.get(region.id);
          if (known?.region === region) return known.exported;
          const ids: number[] = [];
          const writer = createByteWriter(256).u32(segments.length);
          for (const view of [
            ...segments,
            new Uint8Array(status.buffer, status.byteOffset, status.byteLength),
          ]) {
            const memory = engine.register(view);
            ids.push(memory.id);
            writer.u64(memory.address).offset(view.byteLength).bytes(memory.key);
          }
          const exported = Uint8Array.from(writer.finish());
          registered.set(region.id, { region, exported, ids });
          return exported;
        },
        forgetRegion: unregister,
        reach(peer, _local, remote) {
          if (split(peer) === undefined)
            return { isReachable: false, reason: "the peer has no ucx transport" };
          if (remote !== undefined && !remote.exported.has("ucx"))
            return { isReachable: false, reason: "the peer's region has no addresses" };
          return { isReachable: true, path, bytesPerSecond: 5e9, latencyMicros: 20 };
        },
        async connect(peer, signal) {
          const link = await control.connect(peer, signal);
          try {
            const endpoint = engine.connect(split(peer)?.address ?? new Uint8Array(0));
            return createUcxLink({ host, peer, engine, jobs, endpoint, control: link });
          } catch (error) {
            await link.close();
            throw asTransferError(error, "ucx");
          }
        },
        async close() {
          await control.close();
          for (const id of [...registered.keys()]) unregister(id);
          engine.close();
        },
      };
    },
  };
}
