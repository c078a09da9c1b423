import { closeSync, constants, fstatSync, openSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { createByteReader } from "../byte-codec.ts";
import type { PlannedRegion } from "../native/planned-link.ts";
import type { TransferAddon } from "../native/transfer-addon.ts";
import { transferError } from "../transfer-error.ts";
import type { RemoteAgent } from "../transport/transport.ts";
import type { HostControl } from "./host-control.ts";
import { openSharedFile, readFully, statusBytes } from "./shared-file.ts";
import type { PeerRegion } from "./peer-regions.ts";
import { epochBlocks } from "./status-check.ts";

/** A peer's shared memory, opened here. */
export interface OpenedRegion extends PlannedRegion, PeerRegion {
  /** Mapped by the addon; else `fd` serves. */
  readonly view: Uint8Array | undefined;
  /** The status words, where they are mapped. */
  readonly status: BigUint64Array | undefined;
  readonly fd: number;
}

/** The number of a region among those of its agent: the last part of its name. */
export function serialOf(name: string): bigint {
  const hex = /-([0-9a-f]+)\.kv$/.exec(name)?.[1];
  if (hex === undefined)
    throw transferError(
      "TRANSFER_METADATA_INVALID",
      "A peer named shared memory in a form that no agent makes.",
    );
  return BigInt(`0x${hex}`);
}

/** Maps a peer's memfd where the addon is there, else opens its file. */
export function openRegion(
  addon: TransferAddon | undefined,
  directory: string,
  control: HostControl,
  peer: RemoteAgent,
  id: number,
): OpenedRegion {
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
  const shared = { memory, segmentBytes: [memory.bytes], uses: 0, isDropped: false };
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
