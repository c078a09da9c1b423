import { closeSync, constants, openSync } from "node:fs";
import { join } from "node:path";
import { createByteReader } from "../byte-codec.ts";
import { openSharedFile, readFully, statusBytes } from "../shm/shared-file.ts";
import type { OpenedRegion } from "../shm/opened-region.ts";
import { epochBlocks } from "../shm/status-check.ts";
import { transferError } from "../transfer-error.ts";
import type { RemoteAgent } from "../transport/transport.ts";

/** A peer's file, opened here; `direct` is a second descriptor past the page cache, or -1. */
export interface FileRegion extends OpenedRegion {
  readonly direct: number;
  readonly statusOffset: number;
}

/** Opens what a peer's metadata names, in our own directory. */
export function openFileRegion(
  directory: string,
  peer: RemoteAgent,
  id: number,
  isDirect: boolean,
): FileRegion {
  const memory = peer.memory(id);
  const exported = memory?.exported.get("file");
  if (memory === undefined || exported === undefined)
    throw transferError("TRANSFER_REGION_GONE", `Peer ${peer.name} has published no file for region ${id}.`, {
      region: id,
    });
  const reader = createByteReader(exported, "File region");
  const name = reader.text(256);
  const statusOffset = reader.offset();
  if (statusOffset < memory.bytes || statusOffset % 8 !== 0)
    throw transferError(
      "TRANSFER_METADATA_INVALID",
      `Region ${id} of ${peer.name} overlaps its status words.`,
    );
  const fd = openSharedFile(directory, name, statusOffset + statusBytes(epochBlocks(memory)));
  const direct = isDirect ? openDirect(join(directory, name)) : -1;
  return {
    memory,
    segmentBytes: [memory.bytes],
    uses: 0,
    isDropped: false,
    view: undefined,
    status: undefined,
    fd,
    direct,
    statusOffset,
    readStatus: (first, target) => readFully(fd, new Uint8Array(target.buffer), statusOffset + 8 * first),
    close() {
      closeSync(fd);
      if (direct >= 0) closeSync(direct);
    },
  };
}

/** A descriptor past the page cache, or -1 where the file system has none. */
function openDirect(path: string): number {
  try {
    return openSync(path, constants.O_RDWR | constants.O_DIRECT | constants.O_NOFOLLOW);
  } catch {
    return -1;
  }
}
