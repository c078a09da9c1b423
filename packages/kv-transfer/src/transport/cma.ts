import { createStatus, statusEpochs } from "../agent/region.ts";
import { createByteReader, createByteWriter } from "../byte-codec.ts";
import { type CmaRegion, joinPairs, readCmaRegion } from "../cma/cma-region.ts";
import { nativeError } from "../native/native-work.ts";
import { createPlannedLink } from "../native/planned-link.ts";
import { requireTransferAddon, type TransferAddon } from "../native/transfer-addon.ts";
import { defaultSharedDirectory, type HostAddress, openHostControl } from "../shm/host-control.ts";
import { processStart } from "../shm/shared-file.ts";
import { asTransferError, transferError } from "../transfer-error.ts";
import type { AllocatedMemory, Link, RemoteAgent, Transport, TransportHost } from "./transport.ts";

export interface CmaOptions {
  /** Directory in memory for the sockets by which agents of this host meet. Default `/dev/shm/stator-<uid>`. */
  readonly directory?: string;
}

/**
 * Cross-memory attach: reads and writes the peer's memory directly (process_vm_readv), whatever memory it registered. Same host, same user, same
 * PID namespace, and permission to trace the peer. Needs the native addon.
 *
 * @throws TransferError TRANSFER_NATIVE_UNAVAILABLE when an agent is created with it and there is no addon
 */
export function cma(options: CmaOptions = {}): Transport {
  const directory = options.directory ?? defaultSharedDirectory();
  return {
    name: "cma",
    async open(host) {
      const addon = requireTransferAddon("The cma transport");
      addon.allowAttach();
      const control = await openHostControl("cma", host, directory);
      // Peers read this word first: it proves that the pid is us and that the kernel lets them.
      const proof = new BigUint64Array(new ArrayBuffer(64), 0, 1);
      proof[0] = BigInt(`0x${host.incarnation.slice(0, 16)}`);
      const address = (view: ArrayBufferView): bigint =>
        addon.addressOf(new Uint8Array(view.buffer, view.byteOffset, view.byteLength));
      const info = control.info(createByteWriter().u64(address(proof)).finish());
      return {
        name: "cma",
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
          const { segments, status } = region;
          if (segments === undefined || status === undefined)
            return { reason: "the region has no addresses in its process" };
          const writer = createByteWriter(16 + segments.length * 16)
            .u64(address(status))
            .u32(segments.length);
          for (const segment of segments) writer.u64(addon.addressOf(segment)).offset(segment.byteLength);
          return writer.finish();
        },
        reach(peer, _local, remote) {
          const obstacle = control.obstacle(peer);
          if (obstacle !== undefined) return { isReachable: false, reason: obstacle };
          if (control.addressOf(peer)?.pidNamespace !== control.own.pidNamespace)
            return { isReachable: false, reason: "the peer runs in another PID namespace (container)" };
          if (remote !== undefined && !remote.exported.has("cma"))
            return { isReachable: false, reason: "the peer's region has no addresses" };
          return {
            isReachable: true,
            path: "cross-memory attach (process_vm_readv)",
            bytesPerSecond: 9e9,
            latencyMicros: 2,
          };
        },
        async connect(peer, signal) {
          const there = control.addressOf(peer) as HostAddress;
          const link = await control.connect(peer, signal);
          let pidfd: number | undefined;
          try {
            pidfd = addon.pidfdOpen(there.pid);
            if (processStart(there.pid) !== there.startTime)
              throw transferError("TRANSFER_PEER_LOST", `Process ${there.pid} is no longer ${peer.name}.`, {
                peer: peer.name,
              });
            const word = new BigUint64Array(1);
            addon.cmaWords(there.pid, pidfd, createByteReader(there.extra, "Proof").u64(), word);
            if (word[0] !== BigInt(`0x${peer.incarnation.slice(0, 16)}`))
              throw transferError(
                "TRANSFER_PEER_LOST",
                `Process ${there.pid} is not the agent that the metadata names.`,
                { peer: peer.name },
              );
            return createCmaLink(host, peer, addon, there.pid, pidfd, link);
          } catch (error) {
            if (pidfd !== undefined) addon.closeFd(pidfd);
            await link.close();
            throw asTransferError(nativeError(error, peer.name, "cma"), "cma");
          }
        },
        allocate: (bytes, epochs) => Promise.resolve(allocateHuge(addon, bytes, epochs?.blockBytes)),
        close() {
          // Also what keeps the word alive until here.
          proof[0] = 0n;
          return control.close();
        },
      };
    },
  };
}

/** Private memory for which huge pages are asked: CMA copies it at twice the speed of 4 KiB pages. */
function allocateHuge(addon: TransferAddon, bytes: number, blockBytes: number | undefined): AllocatedMemory {
  let buffer: ArrayBuffer;
  try {
    buffer = addon.hugeAllocate(bytes);
  } catch (error) {
    throw transferError(
      "TRANSFER_LIMIT",
      `No memory of ${bytes} bytes: ${(error as Error).message}.`,
      { bytes },
      error,
    );
  }
  const data = new Uint8Array(buffer, 0, bytes);
  const status = createStatus(bytes, blockBytes);
  return {
    segments: [data],
    status,
    shared: undefined,
    epochs: blockBytes === undefined ? undefined : statusEpochs(status, blockBytes),
    gather: (offset, length) => data.subarray(offset, offset + length),
    scatter: (offset, source) => data.set(source, offset),
    free() {
      Atomics.store(status, 0, 0n);
      addon.unmap(buffer);
    },
  };
}

/** Regions known of one peer before all are looked up anew. */
const knownLimit = 4096;

function createCmaLink(
  host: TransportHost,
  peer: RemoteAgent,
  addon: TransferAddon,
  pid: number,
  pidfd: number,
  control: Link,
): Link {
  const known = new Map<number, CmaRegion>();
  let isPidfdOpen = true;
  let isClosing = false;
  let busy = 0;
  const closeWhenIdle = (): void => {
    if (!isClosing || !isPidfdOpen || busy > 0) return;
    isPidfdOpen = false;
    addon.closeFd(pidfd);
  };
  const link = createPlannedLink<CmaRegion>({
    transport: "cma",
    host,
    peerName: peer.name,
    addon,
    control,
    region(id) {
      let region = known.get(id);
      if (region !== undefined && region.memory === peer.memory(id)) return region;
      region = readCmaRegion(addon, peer, pid, pidfd, id);
      if (known.size > knownLimit) known.clear();
      known.set(id, region);
      return region;
    },
    isCurrent: (region) => peer.memory(region.memory.id) === region.memory,
    plan: (batch, views, regions) =>
      addon.planCma(
        pid,
        pidfd,
        batch,
        views,
        joinPairs(regions),
        BigUint64Array.from(regions, (region) => region.lifeAddress),
      ),
    onBusy: () => {
      busy += 1;
    },
    onIdle: () => {
      busy -= 1;
      closeWhenIdle();
    },
  });
  return {
    ...link,
    get isOpen() {
      return link.isOpen;
    },
    async close() {
      isClosing = true;
      const closed = link.close();
      closeWhenIdle();
      await closed;
    },
  };
}
