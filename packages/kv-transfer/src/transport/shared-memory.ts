// Longer than most: both backings (memfd and file) of a region behind one link, with their fallbacks.
import { closeSync, constants, fstatSync, openSync, readlinkSync, unlinkSync } from "node:fs";
import { join } from "node:path";
import { createByteReader, createByteWriter } from "../byte-codec.ts";
import { addressBatch, createLocalTable, hasLocalAddresses, nativeError } from "../native/native-work.ts";
import { type AddonBatch, loadTransferAddon, type TransferAddon } from "../native/transfer-addon.ts";
import { copyThroughFile } from "../shm/file-copy.ts";
import { defaultSharedDirectory, type HostControl, openHostControl } from "../shm/host-control.ts";
import { allocateMemfd } from "../shm/memfd-memory.ts";
import { allocateSharedFile, openSharedFile, readFully, statusBytes } from "../shm/shared-file.ts";
import { checkAlive, checkRemoteEpochs, epochBlocks, type ReadStatus } from "../shm/status-check.ts";
import { asTransferError, transferError } from "../transfer-error.ts";
import type {
  Link,
  RegionMemory,
  RemoteAgent,
  RemoteMemory,
  RunBatch,
  Transport,
  TransportHost,
  Work,
} from "./transport.ts";

/** Copied within one turn of the event loop; more goes on in the next one, or in the addon's own threads. */
const inlineBytes = 4 * 1024 * 1024;

export interface SharedMemoryOptions {
  /** Directory in memory that all agents of this host and user share. Default `/dev/shm/stator-<uid>`. */
  readonly directory?: string;
  /** `files` never uses the native addon. Default `auto`: memfds where the addon is there. */
  readonly backing?: "auto" | "files";
}

/** A peer's region, opened here. */
interface Opened {
  readonly memory: RemoteMemory;
  readonly readStatus: ReadStatus;
  /** Mapped by the addon; else `fd` serves. */
  readonly view: Uint8Array | undefined;
  /** The status words, where they are mapped. */
  readonly status: BigUint64Array | undefined;
  readonly fd: number;
  uses: number;
  isDropped: boolean;
  close(): void;
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
      const opened = new Map<string, Opened>();
      let nextRegion = 0;
      const info = control.info(
        createByteWriter()
          .u8(addon === undefined ? 0 : 1)
          .finish(),
      );
      const open = (peer: RemoteAgent, id: number): Opened => {
        const key = `${peer.incarnation}/${id}`;
        let region = opened.get(key);
        if (region === undefined) opened.set(key, (region = openRegion(addon, directory, control, peer, id)));
        return region;
      };
      const release = (region: Opened): void => {
        if (region.isDropped && region.uses === 0) region.close();
      };
      const drop = (key: string, region: Opened): void => {
        opened.delete(key);
        region.isDropped = true;
        release(region);
      };
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
          return createSharedLink(host, peer.name, addon, link, (id) => open(peer, id), release);
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
          fdServer?.close();
          if (fdServer !== undefined) unlinkSync(fdSocket);
          for (const [key, region] of opened) drop(key, region);
          await control.close();
        },
      };
    },
  };
}

/** The number of a region among those of its agent: the last part of its name. */
function serialOf(name: string): bigint {
  const hex = /-([0-9a-f]+)\.kv$/.exec(name)?.[1];
  if (hex === undefined)
    throw transferError(
      "TRANSFER_METADATA_INVALID",
      "A peer named shared memory in a form that no agent makes.",
    );
  return BigInt(`0x${hex}`);
}

function openRegion(
  addon: TransferAddon | undefined,
  directory: string,
  control: HostControl,
  peer: RemoteAgent,
  id: number,
): Opened {
  const memory = peer.memory(id);
  const exported = memory?.exported.get("shm");
  const address = control.addressOf(peer);
  if (memory === undefined || exported === undefined || address === undefined)
    throw transferError("TRANSFER_REGION_GONE", `Peer ${peer.name} has published no shared region ${id}.`, {
      region: id,
    });
  const reader = createByteReader(exported, "Shared region");
  const isMemfd = reader.u8() === 1;
  const name = reader.text(256);
  const fdThere = reader.u32();
  const statusOffset = reader.offset();
  if (statusOffset < memory.bytes || statusOffset % 8 !== 0)
    throw transferError(
      "TRANSFER_METADATA_INVALID",
      `Region ${id} of ${peer.name} overlaps its status words.`,
    );
  const words = 1 + epochBlocks(memory);
  const bytes = statusOffset + statusBytes(words - 1);
  const shared = { memory, uses: 0, isDropped: false };
  if (isMemfd && addon !== undefined) {
    const fdSocket = join(directory, address.socket.replace(/\.sock$/, ".fds"));
    let fd: number | undefined;
    try {
      fd = addon.receiveFd(fdSocket, serialOf(name), memory.key);
    } catch (error) {
      throw transferError(
        "TRANSFER_REGION_GONE",
        `Shared memory of ${peer.name} is gone: ${(error as Error).message}.`,
        { peer: peer.name },
        error,
      );
    }
    if (fd === undefined)
      throw transferError("TRANSFER_REGION_GONE", `Agent ${peer.name} has no region ${id} with that key.`, {
        peer: peer.name,
        region: id,
      });
    const buffer = addon.mapFd(fd, bytes);
    const status = new BigUint64Array(buffer, statusOffset, words);
    return {
      ...shared,
      view: new Uint8Array(buffer, 0, memory.bytes),
      status,
      fd: -1,
      readStatus(first, target) {
        for (let i = 0; i < target.length; i += 1) target[i] = Atomics.load(status, first + i);
      },
      close: () => addon.unmap(buffer),
    };
  }
  const fd = isMemfd ? openForeignFd(address.pid, fdThere, bytes) : openSharedFile(directory, name, bytes);
  return {
    ...shared,
    view: undefined,
    status: undefined,
    fd,
    readStatus: (first, target) => readFully(fd, new Uint8Array(target.buffer), statusOffset + 8 * first),
    close: () => closeSync(fd),
  };
}

/** A memfd of another process, by its number there: the way in without the addon. */
function openForeignFd(pid: number, fdThere: number, neededBytes: number): number {
  const path = `/proc/${pid}/fd/${fdThere}`;
  try {
    if (!readlinkSync(path).startsWith("/memfd:stator-kv")) throw new Error("it is another file now");
    const fd = openSync(path, constants.O_RDWR);
    if (fstatSync(fd).size >= neededBytes) return fd;
    closeSync(fd);
    throw new Error("it is smaller than its owner said");
  } catch (error) {
    throw transferError(
      "TRANSFER_REGION_GONE",
      `Shared memory of process ${pid} can't be opened: ${(error as Error).message}.`,
      { pid },
      error,
    );
  }
}

interface Prepared {
  readonly batch: AddonBatch;
  readonly localViews: readonly Uint8Array[];
  readonly remoteViews: readonly Uint8Array[];
  readonly local: readonly RegionMemory[];
  readonly remote: readonly Opened[];
}

function createSharedLink(
  host: TransportHost,
  peerName: string,
  addon: TransferAddon | undefined,
  control: Link,
  open: (id: number) => Opened,
  release: (region: Opened) => void,
): Link {
  const stops = new Map<Work, () => void>();
  const cancelled = (): ReturnType<typeof transferError> =>
    transferError("TRANSFER_CANCELLED", "The transfer was cancelled.");
  const verify = (regions: ReadonlyMap<number, Opened>, work: Work): void => {
    for (const region of regions.values()) checkAlive(region.memory, region.readStatus);
    for (const check of work.epochs) {
      const region = regions.get(check.region);
      if (region !== undefined) checkRemoteEpochs(region.memory, check, region.readStatus);
    }
  };
  // What a batch comes to in addresses, kept for transfers that are posted again.
  const prepared = new WeakMap<RunBatch, Prepared>();
  const isUsable = (plan: Prepared): boolean => {
    for (const region of plan.remote) if (region.isDropped) return false;
    for (let i = 0; i < plan.local.length; i += 1)
      if (host.region((plan.local[i] as RegionMemory).id) !== plan.local[i]) return false;
    return true;
  };
  /** The way of small batches over mapped memory; false where it does not serve. */
  const postAtOnce = (work: Work): boolean => {
    const plan = prepared.get(work.batch);
    if (addon === undefined || plan === undefined || work.epochs.length > 0 || !isUsable(plan)) return false;
    for (const region of plan.remote)
      if (Atomics.load(region.status as BigUint64Array, 0) !== 1n) return false;
    addon.copyRuns(work.operation === "read", plan.batch, plan.localViews, plan.remoteViews);
    for (const region of plan.remote)
      if (Atomics.load(region.status as BigUint64Array, 0) !== 1n) return false;
    work.settle(undefined);
    return true;
  };
  const post = (work: Work): void => {
    try {
      if (postAtOnce(work)) return;
    } catch (error) {
      return work.settle(asTransferError(nativeError(error, peerName, "shm"), "shm"));
    }
    const regions = new Map<number, Opened>();
    const get = (id: number): Opened => {
      let region = regions.get(id);
      if (region !== undefined) return region;
      regions.set(id, (region = open(id)));
      region.uses += 1;
      return region;
    };
    let isEnded = false;
    const end = (error: unknown): void => {
      if (isEnded) return;
      isEnded = true;
      stops.delete(work);
      for (const region of regions.values()) {
        region.uses -= 1;
        release(region);
      }
      work.settle(
        error === undefined ? undefined : asTransferError(nativeError(error, peerName, "shm"), "shm"),
      );
    };
    const finish = (): void => {
      try {
        verify(regions, work);
      } catch (error) {
        return end(error);
      }
      end(undefined);
    };
    try {
      for (let run = 0; run < work.batch.runs; run += 1)
        checkPieces(work, run, get(work.batch.remoteRegion[run] as number).memory);
      for (const check of work.epochs) get(check.region);
      verify(regions, work);
      const isMapped =
        addon !== undefined &&
        [...regions.values()].every((region) => region.view !== undefined) &&
        hasLocalAddresses(host, work);
      if (!isMapped) {
        let isStopped = false;
        stops.set(work, () => {
          isStopped = true;
        });
        const steps = copyThroughFile(host, work, get);
        const turn = (): void => {
          try {
            for (let bytes = 0; bytes < inlineBytes;) {
              if (isStopped) return end(cancelled());
              const next = steps.next();
              if (next.done === true) return finish();
              bytes += next.value;
            }
          } catch (error) {
            return end(error);
          }
          setImmediate(turn);
        };
        return turn();
      }
      const local = createLocalTable(host);
      const remoteViews: Uint8Array[] = [];
      const batch = addressBatch(work, local, (id) => {
        const view = get(id).view as Uint8Array;
        remoteViews.push(view);
        return { firstIndex: remoteViews.length - 1, segmentBytes: [view.byteLength] };
      });
      const isRead = work.operation === "read";
      if (work.batch.totalBytes <= inlineBytes) {
        addon.copyRuns(isRead, batch, local.views, remoteViews);
        prepared.set(work.batch, {
          batch,
          localViews: local.views,
          remoteViews,
          local: local.regions,
          remote: [...regions.values()],
        });
        return finish();
      }
      const stop = addon.copyRunsAsync(isRead, batch, local.views, remoteViews, (isComplete) => {
        if (isComplete) finish();
        else end(cancelled());
      });
      stops.set(work, stop);
    } catch (error) {
      end(error);
    }
  };
  return {
    get isOpen() {
      return control.isOpen;
    },
    post,
    cancel: (work) => stops.get(work)?.(),
    notify: (message) => control.notify?.(message) ?? Promise.resolve(),
    close: () => control.close(),
  };
}

function checkPieces(work: Work, run: number, memory: RemoteMemory): void {
  const { batch } = work;
  const offset = batch.remoteOffset[run] as number;
  const last = offset + (batch.remoteStride[run] as number) * ((batch.pieces[run] as number) - 1);
  const bytes = batch.pieceBytes[run] as number;
  if (!(offset >= 0 && bytes >= 1 && last + bytes <= memory.bytes && offset + bytes <= memory.bytes))
    throw transferError(
      "TRANSFER_OUT_OF_BOUNDS",
      `Offset ${offset}, length ${bytes} is outside region ${memory.id} of the peer.`,
      { region: memory.id, index: run },
    );
}
