import { unlinkSync } from "node:fs";
import { join } from "node:path";
import { createDeviceLink } from "../cuda/device-link.ts";
import { allocateDevice } from "../cuda/device-memory.ts";
import { openDevice, readDevice, writeDevice } from "../cuda/device-region.ts";
import type { GpuContext, GpuDriver } from "../cuda/gpu.ts";
import { loadTransferAddon } from "../native/transfer-addon.ts";
import { defaultSharedDirectory, openHostControl } from "../shm/host-control.ts";
import { createPeerRegions } from "../shm/peer-regions.ts";
import { transferError } from "../transfer-error.ts";
import type { RegionMemory, Transport, TransportHost } from "./transport.ts";

export interface CudaTransportOptions {
  /** `openCuda()` of @stator/cuda-bindings. */
  readonly driver: GpuDriver;
  /** Device that `allocate` takes memory of. Default 0. */
  readonly device?: number;
  /** How memory is shared: `fd` is mapped memory that peers keep alive, `ipc` legacy handles. Default: `fd` where device and addon have it. */
  readonly sharing?: "fd" | "ipc";
  /** Directory in memory where agents of this host and user meet. Default `/dev/shm/stator-<uid>`. */
  readonly directory?: string;
}

/** Agents of this process by incarnation: their memory is used as it is, since no driver opens what it has exported itself. */
const residents = new Map<string, TransportHost>();

/**
 * Device memory between processes of one host: `agent.allocate({ bytes, memory: "device" })`, opened by peers with CUDA IPC or as mapped memory whose
 * descriptor is passed over a socket. The initiator's driver copies, to and from its own device or host memory; scattered small pieces go in one kernel.
 * Life and epochs are read in host memory before and after, and the stream is waited for in between.
 *
 * @throws TransferError TRANSFER_OPTION_INVALID, TRANSFER_PATH_UNAVAILABLE when an agent is created with it
 */
export function cuda(options: CudaTransportOptions): Transport {
  const { driver, device = 0, directory = defaultSharedDirectory() } = options;
  return {
    name: "cuda",
    async open(host) {
      const own = driver.devices[device];
      if (own === undefined)
        throw transferError(
          "TRANSFER_OPTION_INVALID",
          `cuda: there is no device ${device}; ${driver.devices.length} are visible.`,
          { device },
        );
      const native = loadTransferAddon();
      const addon = native.isAvailable ? native.addon : undefined;
      const canMap = own.hasFdHandles && addon !== undefined;
      if (options.sharing === "fd" && !canMap)
        throw transferError(
          "TRANSFER_PATH_UNAVAILABLE",
          `cuda: memory can't be shared by descriptor: ${native.isAvailable ? `${own.name} has no such handles` : native.reason}.`,
        );
      const isMapped = canMap && options.sharing !== "ipc";
      const contexts = new Map<string, GpuContext>();
      const contextOf = (uuid: string): GpuContext | undefined => {
        const found = driver.devices.find((candidate) => candidate.uuid === uuid);
        if (found === undefined) return undefined;
        let context = contexts.get(uuid);
        if (context === undefined) contexts.set(uuid, (context = driver.context(found.index)));
        return context;
      };
      const control = await openHostControl("cuda", host, directory);
      const socketOf = (socket: string): string => join(directory, socket.replace(/\.sock$/, ".fds"));
      const fdSocket = join(directory, `${control.prefix}.fds`);
      const fdServer = isMapped ? new (addon as NonNullable<typeof addon>).FdServer(fdSocket) : undefined;
      const exported = new Map<number, Uint8Array>();
      const offered = new Map<number, number>();
      const opened = createPeerRegions((peer, id) => {
        const fdSocketThere = socketOf(control.addressOf(peer)?.socket ?? "absent.sock");
        const resident = residents.get(peer.incarnation)?.region(id);
        return openDevice({ addon, directory, fdSocket: fdSocketThere, peer, id, contextOf, resident });
      });
      const info = control.info(new Uint8Array(0));
      let nextRegion = 0;
      residents.set(host.incarnation, host);
      return {
        name: "cuda",
        capabilities: {
          scope: "host",
          memory: ["device", "host"],
          isOneSided: true,
          acknowledges: "local",
          boundsCheckedBy: "initiator",
          carriesNotifications: true,
        },
        allocates: "device",
        connectionInfo: () => info,
        exportRegion(region: RegionMemory) {
          const backing = region.device;
          if (backing === undefined) return { reason: "the region is not device memory" };
          const known = exported.get(region.id);
          if (known !== undefined) return known;
          if (backing.kind === "fd") {
            const fd = backing.memory.fileDescriptor();
            offered.set(region.id, fd);
            fdServer?.offer(BigInt(region.id), region.key, fd);
          }
          const blob = writeDevice(backing);
          exported.set(region.id, blob);
          return blob;
        },
        forgetRegion(id) {
          exported.delete(id);
          const fd = offered.get(id);
          if (fd === undefined) return;
          offered.delete(id);
          fdServer?.withdraw(BigInt(id));
          addon?.closeFd(fd);
        },
        reach(peer, local, remote) {
          const obstacle = control.obstacle(peer);
          if (obstacle !== undefined) return { isReachable: false, reason: obstacle };
          const bytesPerSecond = local === undefined || local.memory === "device" ? 1e12 : 2e10;
          if (remote === undefined)
            return { isReachable: true, path: `CUDA on ${own.name}`, bytesPerSecond, latencyMicros: 20 };
          const raw = remote.exported.get("cuda");
          if (raw === undefined)
            return { isReachable: false, reason: "the peer's region is not device memory" };
          const { uuid, kind } = readDevice(raw);
          const there = driver.devices.find((candidate) => candidate.uuid === uuid);
          if (there === undefined)
            return {
              isReachable: false,
              reason: `the peer's ${uuid} is not visible to this process (CUDA_VISIBLE_DEVICES?)`,
            };
          if (kind === "fd" && addon === undefined)
            return {
              isReachable: false,
              reason: "device memory shared by descriptor needs the native addon here too",
            };
          const how = kind === "fd" ? "mapped memory" : "CUDA IPC";
          const from = local === undefined || local.memory === "device" ? "" : ", from and to host memory";
          return {
            isReachable: true,
            path: `${how} of ${there.name} (${uuid.slice(0, 12)})${from}`,
            bytesPerSecond,
            latencyMicros: 20,
          };
        },
        async connect(peer, signal) {
          const link = await control.connect(peer, signal);
          return createDeviceLink({
            host,
            control: link,
            open: (id) => opened.open(peer, id),
            release: opened.release,
          });
        },
        allocate(bytes, epochs) {
          nextRegion += 1;
          return Promise.resolve(
            allocateDevice({
              context: contextOf(own.uuid) as GpuContext,
              directory,
              name: `${control.prefix.replace(/-cuda$/, "")}-c-${nextRegion.toString(16)}.kv`,
              bytes,
              blockBytes: epochs?.blockBytes,
              isMapped,
            }),
          );
        },
        drop: opened.drop,
        async close() {
          residents.delete(host.incarnation);
          fdServer?.close();
          if (fdServer !== undefined) unlinkSync(fdSocket);
          opened.dropAll();
          await control.close();
        },
      };
    },
  };
}
