import { existsSync, unlinkSync } from "node:fs";
import { join } from "node:path";
import { createByteReader, createByteWriter } from "../byte-codec.ts";
import { createFileLink } from "../file/file-transport-link.ts";
import { type FileRegion, openFileRegion } from "../file/file-region.ts";
import { loadTransferAddon } from "../native/transfer-addon.ts";
import { removeLeftOvers, writeMarker } from "../file/agent-marker.ts";
import { allocateSharedFile, prepareSharedDirectory } from "../shm/shared-file.ts";
import { openTcp, type TcpOptions } from "./tcp.ts";
import type { RemoteAgent, Transport } from "./transport.ts";

export interface FileTransportOptions extends Omit<TcpOptions, "dataPath" | "connections"> {
  /** Directory that all agents which share files see under this path: a local disk, or a network file system. Only this user may enter it. */
  readonly directory: string;
  /** Goes past the page cache (O_DIRECT) for pieces whose memory, position and length are multiples of 4,096. Default false. */
  readonly isDirect?: boolean;
}

/**
 * Regions that are files: `agent.allocate` makes one in `directory`, peers that see the directory read and write it themselves. With the native addon
 * by io_uring where the kernel has it, else by threads; without it by TypeScript. Notifications go over a TCP connection beside it.
 */
export function file(options: FileTransportOptions): Transport {
  const { directory } = options;
  return {
    name: "file",
    async open(host) {
      prepareSharedDirectory(directory);
      const native = loadTransferAddon();
      const addon = native.isAvailable ? native.addon : undefined;
      const hasRings = addon?.hasRings() === true;
      removeLeftOvers(directory);
      const prefix = `f-${host.incarnation}`;
      const marker = writeMarker(directory, prefix);
      const split = (
        peer: RemoteAgent,
      ): { readonly control: Uint8Array; readonly marker: string } | undefined => {
        const raw = peer.connections.get("file");
        if (raw === undefined) return undefined;
        const reader = createByteReader(raw, "File transport");
        return { control: reader.bytes(4096), marker: reader.text(256) };
      };
      const control = await openTcp(
        "file",
        { ...options, dataPath: "typescript" },
        host,
        (peer) => split(peer)?.control,
      );
      const info = createByteWriter().bytes(control.connectionInfo()).text(marker).finish();
      const own = new Set<string>();
      const opened = new Map<string, FileRegion>();
      let nextRegion = 0;
      const open = (peer: RemoteAgent, id: number): FileRegion => {
        const key = `${peer.incarnation}/${id}`;
        let region = opened.get(key);
        if (region === undefined)
          opened.set(key, (region = openFileRegion(directory, peer, id, options.isDirect === true)));
        return region;
      };
      const release = (region: FileRegion): void => {
        if (region.isDropped && region.uses === 0) region.close();
      };
      const drop = (key: string, region: FileRegion): void => {
        opened.delete(key);
        region.isDropped = true;
        release(region);
      };
      const how =
        addon === undefined
          ? `TypeScript; slower without the addon (${native.isAvailable ? "" : native.reason})`
          : hasRings
            ? "io_uring"
            : "threads; this kernel lets nobody use io_uring";
      return {
        name: "file",
        capabilities: {
          scope: "network",
          memory: ["file", "host"],
          isOneSided: true,
          acknowledges: "local",
          boundsCheckedBy: "initiator",
          carriesNotifications: true,
        },
        connectionInfo: () => info,
        exportRegion(region) {
          const { shared } = region;
          if (shared?.kind !== "file" || !own.has(shared.name))
            return { reason: "the region is memory, not a file: take it from agent.allocate()" };
          return createByteWriter().text(shared.name).offset(shared.statusOffset).finish();
        },
        reach(peer, _local, remote) {
          const there = split(peer);
          if (there === undefined) return { isReachable: false, reason: "the peer has no file transport" };
          if (!/^[0-9a-f-]+\.agent$/.test(there.marker) || !existsSync(join(directory, there.marker)))
            return { isReachable: false, reason: `the peer's files are not in ${directory}` };
          if (remote !== undefined && !remote.exported.has("file"))
            return { isReachable: false, reason: "the peer's region is no file" };
          return {
            isReachable: true,
            path: `files in ${directory} by ${how}`,
            bytesPerSecond: 2e9,
            latencyMicros: 100,
          };
        },
        async connect(peer, signal) {
          const link = await control.connect(peer, signal);
          return createFileLink({
            host,
            peerName: peer.name,
            addon,
            hasRings,
            control: link,
            open: (id) => open(peer, id),
            release,
          });
        },
        allocate(bytes, epochs) {
          nextRegion += 1;
          const name = `${prefix}-${nextRegion.toString(16)}.kv`;
          const memory = allocateSharedFile(directory, name, bytes, epochs?.blockBytes);
          own.add(name);
          return Promise.resolve({
            ...memory,
            free() {
              own.delete(name);
              return memory.free();
            },
          });
        },
        drop(peer, memory) {
          for (const [key, region] of opened)
            if (
              memory === undefined
                ? key.startsWith(`${peer.incarnation}/`)
                : key === `${peer.incarnation}/${memory.id}`
            )
              drop(key, region);
        },
        async close() {
          for (const [key, region] of opened) drop(key, region);
          await control.close();
          unlinkSync(join(directory, marker));
        },
      };
    },
  };
}
