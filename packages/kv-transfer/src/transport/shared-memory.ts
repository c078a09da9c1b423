import { unlinkSync } from "node:fs";
import { join } from "node:path";
import { createByteWriter } from "../byte-codec.ts";
import { loadTransferAddon } from "../native/transfer-addon.ts";
import { defaultSharedDirectory, openHostControl } from "../shm/host-control.ts";
import { allocateMemfd } from "../shm/memfd-memory.ts";
import { openRegion, serialOf } from "../shm/opened-region.ts";
import { createPeerRegions } from "../shm/peer-regions.ts";
import { allocateSharedFile } from "../shm/shared-file.ts";
import { createSharedLink } from "../shm/shared-link.ts";
import type { Transport } from "./transport.ts";

export interface SharedMemoryOptions {
  /** Directory in memory that all agents of this host and user share. Default `/dev/shm/stator-<uid>`. */
  readonly directory?: string;
  /** `files` never uses the native addon. Default `auto`: memfds where the addon is there. */
  readonly backing?: "auto" | "files";
}

/**
 * Between processes of one host and user: the initiator copies by itself, the peer's CPU does nothing. With the native addon both map one memfd
 * and a transfer is a memory copy; without it both go through a file under /dev/shm. The peer's region must come from `agent.allocate`.
 */
export function sharedMemory(options: SharedMemoryOptions = {}): Transport {
  const directory = options.directory ?? defaultSharedDirectory();
  return {
    name: "shm",
    async open(host) {
      const native = options.backing === "files" ? undefined : loadTransferAddon();
      const addon = native?.isAvailable === true ? native.addon : undefined;
      const control = await openHostControl("shm", host, directory);
      const fdSocket = join(directory, `${control.prefix}.fds`);
      const fdServer = addon === undefined ? undefined : new addon.FdServer(fdSocket);
      const opened = createPeerRegions((peer, id) => openRegion(addon, directory, control, peer, id));
      let nextRegion = 0;
      const info = control.info(
        createByteWriter()
          .u8(addon === undefined ? 0 : 1)
          .finish(),
      );
      return {
        name: "shm",
        capabilities: {
          scope: "host",
          memory: ["host"],
          isOneSided: true,
          acknowledges: "local",
          boundsCheckedBy: "initiator",
          carriesNotifications: true,
        },
        connectionInfo: () => info,
        exportRegion(region) {
          const { shared } = region;
          if (shared === undefined)
            return { reason: "registered memory can't be mapped by others: take it from agent.allocate()" };
          if (shared.kind === "memfd") fdServer?.offer(serialOf(shared.name), region.key, shared.fd);
          return createByteWriter()
            .u8(shared.kind === "memfd" ? 1 : 0)
            .text(shared.name)
            .u32(shared.fd)
            .offset(shared.statusOffset)
            .finish();
        },
        reach(peer, _local, remote) {
          const obstacle = control.obstacle(peer);
          if (obstacle !== undefined) return { isReachable: false, reason: obstacle };
          if (remote === undefined)
            return {
              isReachable: true,
              path: `shared memory in ${directory}`,
              bytesPerSecond: 8e9,
              latencyMicros: 5,
            };
          const exported = remote.exported.get("shm");
          if (exported === undefined)
            return {
              isReachable: false,
              reason: "the peer's region is registered memory, not from allocate()",
            };
          const isMapped = exported[0] === 1 && addon !== undefined;
          const why =
            addon !== undefined || native === undefined
              ? ""
              : `; slower without the addon (${native.isAvailable ? "" : native.reason})`;
          return isMapped
            ? {
                isReachable: true,
                path: "memfd mapped in both processes",
                bytesPerSecond: 12e9,
                latencyMicros: 1,
              }
            : {
                isReachable: true,
                path: `file in memory, copied by the kernel${why}`,
                bytesPerSecond: 8e9,
                latencyMicros: 5,
              };
        },
        async connect(peer, signal) {
          const link = await control.connect(peer, signal);
          return createSharedLink({
            host,
            peerName: peer.name,
            addon,
            control: link,
            open: (id) => opened.open(peer, id),
            release: opened.release,
          });
        },
        allocate(bytes, epochs) {
          nextRegion += 1;
          const name = `${control.prefix.replace(/-shm$/, "")}-${nextRegion.toString(16)}.kv`;
          return Promise.resolve(
            addon === undefined
              ? allocateSharedFile(directory, name, bytes, epochs?.blockBytes)
              : allocateMemfd(addon, name, bytes, epochs?.blockBytes, () =>
                  fdServer?.withdraw(serialOf(name)),
                ),
          );
        },
        drop: opened.drop,
        async close() {
          fdServer?.close();
          if (fdServer !== undefined) unlinkSync(fdSocket);
          opened.dropAll();
          await control.close();
        },
      };
    },
  };
}
