import { createByteReader, createByteWriter } from "../byte-codec.ts";
import { createStatus, statusEpochs } from "../agent/region.ts";
import { addressBatch, createLocalTable, hasLocalAddresses, nativeError } from "../native/native-work.ts";
import { type AddonBatch, requireTransferAddon, type TransferAddon } from "../native/transfer-addon.ts";
import { defaultSharedDirectory, type HostAddress, openHostControl } from "../shm/host-control.ts";
import { processStart } from "../shm/shared-file.ts";
import { checkAlive, checkRemoteEpochs, type ReadStatus } from "../shm/status-check.ts";
import { asTransferError, transferError } from "../transfer-error.ts";
import type {
  AllocatedMemory,
  Link,
  RegionMemory,
  RemoteAgent,
  RemoteMemory,
  RunBatch,
  Transport,
  TransportHost,
  Work,
} from "./transport.ts";

/** Copied within the call; more by the addon's own threads. */
const inlineBytes = 4 * 1024 * 1024;

export interface CmaOptions {
  /** Directory in memory for the sockets by which agents of this host meet. Default `/dev/shm/stator-<uid>`. */
  readonly directory?: string;
}

interface RemoteRanges {
  readonly memory: RemoteMemory;
  /** [address, bytes] of each part. */
  readonly pairs: BigUint64Array;
  readonly segmentBytes: readonly number[];
  readonly readStatus: ReadStatus;
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
  const buffer = addon.hugeAllocate(bytes);
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

interface Prepared {
  readonly batch: AddonBatch;
  readonly localViews: readonly Uint8Array[];
  readonly table: BigUint64Array;
  readonly local: readonly RegionMemory[];
  readonly remote: readonly RemoteRanges[];
}

function createCmaLink(
  host: TransportHost,
  peer: RemoteAgent,
  addon: TransferAddon,
  pid: number,
  pidfd: number,
  control: Link,
): Link {
  const known = new Map<number, RemoteRanges>();
  const running = new Map<Work, () => void>();
  let isPidfdOpen = true;
  let isClosing = false;
  const closeWhenIdle = (): void => {
    if (!isPidfdOpen || running.size > 0) return;
    isPidfdOpen = false;
    addon.closeFd(pidfd);
  };
  const ranges = (id: number): RemoteRanges => {
    const memory = peer.memory(id);
    const exported = memory?.exported.get("cma");
    if (memory === undefined || exported === undefined)
      throw transferError("TRANSFER_REGION_GONE", `Peer ${peer.name} has published no region ${id}.`, {
        region: id,
      });
    let region = known.get(id);
    if (region?.memory === memory) return region;
    const reader = createByteReader(exported, "Region addresses");
    const status = reader.u64();
    const count = reader.count(16);
    const pairs = new BigUint64Array(count * 2);
    const segmentBytes: number[] = [];
    for (let i = 0; i < count; i += 1) {
      pairs[2 * i] = reader.u64();
      const bytes = reader.offset();
      pairs[2 * i + 1] = BigInt(bytes);
      segmentBytes.push(bytes);
    }
    if (segmentBytes.reduce((sum, bytes) => sum + bytes, 0) !== memory.bytes)
      throw transferError(
        "TRANSFER_METADATA_INVALID",
        `The parts of region ${id} of ${peer.name} don't add up.`,
      );
    region = {
      memory,
      pairs,
      segmentBytes,
      readStatus: (first, target) => addon.cmaWords(pid, pidfd, status + 8n * BigInt(first), target),
    };
    if (known.size > 4096) known.clear();
    known.set(id, region);
    return region;
  };
  // What a batch comes to in addresses, kept for transfers that are posted again.
  const prepared = new WeakMap<RunBatch, Prepared>();
  const word = new BigUint64Array(1);
  const isAlive = (region: RemoteRanges): boolean => {
    region.readStatus(0, word);
    return word[0] === 1n;
  };
  const postAtOnce = (work: Work): boolean => {
    const plan = prepared.get(work.batch);
    if (plan === undefined || work.epochs.length > 0 || !isPidfdOpen) return false;
    for (const memory of plan.local) if (host.region(memory.id) !== memory) return false;
    for (const region of plan.remote)
      if (peer.memory(region.memory.id) !== region.memory || !isAlive(region)) return false;
    addon.cmaRuns(work.operation === "read", pid, pidfd, plan.batch, plan.localViews, plan.table);
    for (const region of plan.remote) if (!isAlive(region)) return false;
    work.settle(undefined);
    return true;
  };
  const post = (work: Work): void => {
    try {
      if (postAtOnce(work)) return;
    } catch (error) {
      return work.settle(asTransferError(nativeError(error, peer.name, "cma"), "cma"));
    }
    let isEnded = false;
    const regions = new Map<number, RemoteRanges>();
    const end = (error: unknown): void => {
      if (isEnded) return;
      isEnded = true;
      running.delete(work);
      if (isClosing) closeWhenIdle();
      work.settle(
        error === undefined ? undefined : asTransferError(nativeError(error, peer.name, "cma"), "cma"),
      );
    };
    const verify = (): void => {
      for (const region of regions.values()) checkAlive(region.memory, region.readStatus);
      for (const check of work.epochs) {
        const region = ranges(check.region);
        checkRemoteEpochs(region.memory, check, region.readStatus);
      }
    };
    const finish = (): void => {
      try {
        verify();
      } catch (error) {
        return end(error);
      }
      end(undefined);
    };
    try {
      if (!isPidfdOpen)
        throw transferError("TRANSFER_TRANSPORT_FAILED", "The cma link is closed.", { transport: "cma" });
      if (!hasLocalAddresses(host, work))
        throw transferError(
          "TRANSFER_PATH_UNAVAILABLE",
          "A local region has no addresses in this process: cma can't use it.",
        );
      for (let run = 0; run < work.batch.runs; run += 1) {
        const id = work.batch.remoteRegion[run] as number;
        if (!regions.has(id)) regions.set(id, ranges(id));
      }
      verify();
      const local = createLocalTable(host);
      const pairs: BigUint64Array[] = [];
      let parts = 0;
      const batch = addressBatch(work, local, (id) => {
        const region = ranges(id);
        pairs.push(region.pairs);
        parts += region.segmentBytes.length;
        return { firstIndex: parts - region.segmentBytes.length, segmentBytes: region.segmentBytes };
      });
      const table = pairs.length === 1 ? (pairs[0] as BigUint64Array) : joinPairs(pairs, parts);
      const isRead = work.operation === "read";
      if (work.batch.totalBytes <= inlineBytes) {
        addon.cmaRuns(isRead, pid, pidfd, batch, local.views, table);
        prepared.set(work.batch, {
          batch,
          localViews: local.views,
          table,
          local: local.regions,
          remote: [...regions.values()],
        });
        return finish();
      }
      const stop = addon.cmaRunsAsync(
        isRead,
        pid,
        pidfd,
        batch,
        local.views,
        table,
        (isComplete, code, message) => {
          if (isComplete) finish();
          else if (code === undefined)
            end(transferError("TRANSFER_CANCELLED", "The transfer was cancelled."));
          else end({ code, message });
        },
      );
      running.set(work, stop);
    } catch (error) {
      end(error);
    }
  };
  return {
    get isOpen() {
      return control.isOpen && !isClosing;
    },
    post,
    cancel: (work) => running.get(work)?.(),
    notify: (message) => control.notify?.(message) ?? Promise.resolve(),
    async close() {
      isClosing = true;
      for (const stop of running.values()) stop();
      closeWhenIdle();
      await control.close();
    },
  };
}

function joinPairs(pairs: readonly BigUint64Array[], parts: number): BigUint64Array {
  const joined = new BigUint64Array(parts * 2);
  let at = 0;
  for (const part of pairs) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
}
