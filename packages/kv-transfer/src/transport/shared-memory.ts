import { closeSync, existsSync, readFileSync, unlinkSync } from "node:fs";
import { connect, createServer } from "node:net";
import { userInfo } from "node:os";
import { join } from "node:path";
import type { Duplex } from "node:stream";
import { createByteReader, createByteWriter } from "../byte-codec.ts";
import { allocateSharedFile, openSharedFile, prepareSharedDirectory, processStart, readFully, statusBytes, writeFully } from "../shm/shared-file.ts";
import { connectStreams, createStreamAcceptor } from "../stream/stream-transport.ts";
import { asTransferError, transferError } from "../transfer-error.ts";
import type { EpochCheck, Link, RegionMemory, RemoteAgent, RemoteMemory, Transport, TransportHost, Work } from "./transport.ts";

/** Copied within one turn of the event loop; more goes on in the next. */
const turnBytes = 4 * 1024 * 1024;

export interface SharedMemoryOptions {
  /** Directory in memory that all agents of this host and user share. Default `/dev/shm/stator-<uid>`. */
  readonly directory?: string;
}

interface Mapped {
  readonly fd: number;
  readonly statusOffset: number;
}

/**
 * Between processes of one host and user through files in memory: the initiator copies by itself, the peer's CPU does nothing.
 * The peer's region must come from `agent.allocate`. A unix socket beside it carries notifications and tells of the peer's death at once.
 */
export function sharedMemory(options: SharedMemoryOptions = {}): Transport {
  const directory = options.directory ?? `/dev/shm/stator-${userInfo().uid}`;
  return {
    name: "shm",
    async open(host) {
      if (process.platform !== "linux") throw transferError("TRANSFER_PATH_UNAVAILABLE", "sharedMemory needs Linux; leave it out of `transports` here.");
      prepareSharedDirectory(directory);
      const prefix = `${process.pid}-${processStart(process.pid) ?? "0"}-${host.incarnation}`;
      const socketName = `${prefix}.sock`;
      const acceptor = createStreamAcceptor("shm", host);
      const server = createServer((socket) => acceptor.accept(socket));
      await new Promise<void>((resolve, reject) => {
        server.once("error", (error) => reject(asTransferError(error, "shm")));
        server.listen(join(directory, socketName), resolve);
      });
      server.unref();
      const hostId = readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
      const info = createByteWriter().text(hostId).text(socketName).finish();
      const mapped = new Map<string, Mapped>();
      let nextFile = 0;
      const addressOf = (peer: RemoteAgent): { hostId: string; socket: string } | undefined => {
        const raw = peer.connections.get("shm");
        if (raw === undefined) return undefined;
        const reader = createByteReader(raw, "Shared memory address");
        return { hostId: reader.text(64), socket: reader.text(128) };
      };
      const mapKey = (peer: RemoteAgent, id: number): string => `${peer.incarnation}/${id}`;
      const map = (peer: RemoteAgent, id: number): Mapped & { readonly memory: RemoteMemory } => {
        const memory = peer.memory(id);
        const exported = memory?.exported.get("shm");
        if (memory === undefined || exported === undefined) throw transferError("TRANSFER_REGION_GONE", `Peer ${peer.name} has published no shared region ${id}.`, { region: id });
        const known = mapped.get(mapKey(peer, id));
        if (known !== undefined) return { ...known, memory };
        const reader = createByteReader(exported, "Shared region");
        const name = reader.text(256);
        const statusOffset = reader.offset();
        const blocks = memory.blockBytes === 0 ? 0 : Math.ceil(memory.bytes / memory.blockBytes);
        if (statusOffset < memory.bytes) throw transferError("TRANSFER_METADATA_INVALID", `Region ${id} of ${peer.name} overlaps its status words.`);
        const made: Mapped = { fd: openSharedFile(directory, name, statusOffset + statusBytes(blocks)), statusOffset };
        mapped.set(mapKey(peer, id), made);
        return { ...made, memory };
      };
      const drop = (peer: RemoteAgent, region?: RemoteMemory): void => {
        for (const [key, entry] of mapped) {
          if (region === undefined ? !key.startsWith(`${peer.incarnation}/`) : key !== mapKey(peer, region.id)) continue;
          mapped.delete(key);
          closeSync(entry.fd);
        }
      };
      const dial = (peer: RemoteAgent) => (signal: AbortSignal): Promise<Duplex> =>
        new Promise((resolve, reject) => {
          const socket = connect(join(directory, addressOf(peer)?.socket ?? ""));
          const fail = (error: Error): void => {
            signal.removeEventListener("abort", onAbort);
            socket.destroy();
            const code = (error as NodeJS.ErrnoException).code;
            const isGone = code === "ECONNREFUSED" || code === "ENOENT";
            reject(transferError(isGone ? "TRANSFER_PEER_LOST" : "TRANSFER_TRANSPORT_FAILED", `Peer ${peer.name} is not there: ${error.message}.`, { peer: peer.name, transport: "shm" }, error));
          };
          const onAbort = (): void => fail(transferError("TRANSFER_DEADLINE", `Connecting to ${peer.name} took too long.`, { peer: peer.name }));
          signal.addEventListener("abort", onAbort, { once: true });
          socket.once("error", fail);
          socket.once("connect", () => {
            signal.removeEventListener("abort", onAbort);
            socket.off("error", fail);
            resolve(socket);
          });
        });
      return {
        name: "shm",
        capabilities: { scope: "host", memory: ["host"], isOneSided: true, acknowledges: "local", boundsCheckedBy: "initiator", carriesNotifications: true },
        connectionInfo: () => info,
        exportRegion(region) {
          if (region.shared === undefined) return { reason: "registered memory can't be mapped by others: take it from agent.allocate()" };
          return createByteWriter().text(region.shared.name).offset(region.shared.statusOffset).finish();
        },
        reach(peer, _local, remote) {
          const address = addressOf(peer);
          if (address === undefined) return { isReachable: false, reason: "the peer has no shm transport" };
          if (address.hostId !== hostId) return { isReachable: false, reason: "the peer runs on another host" };
          if (!existsSync(join(directory, address.socket))) return { isReachable: false, reason: `the peer's socket is not in ${directory} (another container, another user, or it ended)` };
          if (remote !== undefined && !remote.exported.has("shm")) return { isReachable: false, reason: "the peer's region is registered memory, not from allocate()" };
          return { isReachable: true, path: `file in ${directory}, copied by the kernel`, bytesPerSecond: 8e9, latencyMicros: 5 };
        },
        async connect(peer, signal) {
          const control = await connectStreams("shm", host, peer, 1, dial(peer), signal);
          return createFileLink(host, control, (id) => map(peer, id));
        },
        allocate(bytes, epochs) {
          nextFile += 1;
          return Promise.resolve(allocateSharedFile(directory, `${prefix}-${nextFile.toString(16)}.kv`, bytes, epochs?.blockBytes));
        },
        drop,
        async close() {
          acceptor.closeAll();
          for (const entry of mapped.values()) closeSync(entry.fd);
          mapped.clear();
          await new Promise<void>((resolve) => {
            server.close(() => resolve());
          });
          if (existsSync(join(directory, socketName))) unlinkSync(join(directory, socketName));
        },
      };
    },
  };
}

type MapRegion = (id: number) => Mapped & { readonly memory: RemoteMemory };

function createFileLink(host: TransportHost, control: Link, map: MapRegion): Link {
  const cancelled = new WeakSet<Work>();
  const step = (work: Work, steps: Generator<number, void>): void => {
    try {
      for (let bytes = 0; bytes < turnBytes; ) {
        if (cancelled.has(work)) return work.settle(transferError("TRANSFER_CANCELLED", "The transfer was cancelled."));
        const next = steps.next();
        if (next.done === true) return work.settle(undefined);
        bytes += next.value;
      }
    } catch (error) {
      return work.settle(asTransferError(error, "shm"));
    }
    setImmediate(() => step(work, steps));
  };
  return {
    get isOpen() {
      return control.isOpen;
    },
    post: (work) => step(work, copyThroughFile(host, work, map)),
    cancel(work) {
      cancelled.add(work);
    },
    notify: (message) => control.notify?.(message) ?? Promise.resolve(),
    close: () => control.close(),
  };
}

/** Copies piece by piece and yields the bytes of each, so that the caller can give way. */
function* copyThroughFile(host: TransportHost, work: Work, map: MapRegion): Generator<number, void> {
  const { batch } = work;
  const regions = new Map<number, ReturnType<MapRegion>>();
  const remote = (id: number): ReturnType<MapRegion> => {
    let region = regions.get(id);
    if (region === undefined) regions.set(id, (region = map(id)));
    return region;
  };
  for (let run = 0; run < batch.runs; run += 1) remote(batch.remoteRegion[run] as number);
  const verify = (): void => {
    for (const [id, region] of regions) {
      const alive = new BigUint64Array(1);
      readFully(region.fd, new Uint8Array(alive.buffer), region.statusOffset);
      if (alive[0] !== 1n) throw transferError("TRANSFER_REGION_GONE", `Region ${id} was deregistered by its owner.`, { region: id });
    }
    for (const check of work.epochs) verifyEpochs(remote(check.region), check);
  };
  verify();
  const isRead = work.operation === "read";
  for (let run = 0; run < batch.runs; run += 1) {
    const there = remote(batch.remoteRegion[run] as number);
    const here = host.region(batch.localRegion[run] as number);
    if (here === undefined) throw transferError("TRANSFER_REGION_GONE", `Region ${batch.localRegion[run]} was deregistered.`);
    const bytes = batch.pieceBytes[run] as number;
    for (let k = 0; k < (batch.pieces[run] as number); k += 1) {
      const l = (batch.localOffset[run] as number) + k * (batch.localStride[run] as number);
      const r = (batch.remoteOffset[run] as number) + k * (batch.remoteStride[run] as number);
      if (r < 0 || r + bytes > there.memory.bytes) throw transferError("TRANSFER_OUT_OF_BOUNDS", `Offset ${r}, length ${bytes} is outside the peer's region.`, { region: there.memory.id });
      for (let done = 0; done < bytes; ) {
        const take = Math.min(bytes - done, turnBytes);
        copyPart(isRead, here, l + done, there.fd, r + done, take);
        done += take;
        yield take;
      }
    }
  }
  verify();
}

function copyPart(isRead: boolean, here: RegionMemory, localOffset: number, fd: number, position: number, bytes: number): void {
  if (!isRead) return writeFully(fd, here.gather(localOffset, bytes), position);
  const view = here.view;
  if (view !== undefined) return readFully(fd, view.subarray(localOffset, localOffset + bytes), position);
  const copy = new Uint8Array(bytes);
  readFully(fd, copy, position);
  here.scatter(localOffset, copy);
}

function verifyEpochs(region: Mapped & { readonly memory: RemoteMemory }, check: EpochCheck): void {
  const { memory } = region;
  const blocks = memory.blockBytes === 0 ? 0 : Math.ceil(memory.bytes / memory.blockBytes);
  const words = new BigUint64Array(1);
  for (let i = 0; i < check.blocks.length; i += 1) {
    const block = check.blocks[i] as number;
    if (block >= blocks) throw transferError("TRANSFER_STALE_EPOCH", `Region ${memory.id} has no epoch for block ${block}.`, { region: memory.id, block });
    readFully(region.fd, new Uint8Array(words.buffer), region.statusOffset + 8 * (1 + block));
    if (words[0] !== check.expected[i]) throw transferError("TRANSFER_STALE_EPOCH", `Block ${block} of region ${memory.id} was reused since its epoch was published: fetch new metadata.`, { region: memory.id, block });
  }
}
