import {
  closeSync,
  constants,
  fstatSync,
  ftruncateSync,
  lstatSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  unlinkSync,
  writeSync,
} from "node:fs";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { createStatus, statusEpochs } from "../agent/region.ts";
import { transferError } from "../transfer-error.ts";
import type { AllocatedMemory, EpochTable } from "../transport/transport.ts";

/** Bytes of the status words of a region: its life, then one epoch per block. */
export function statusBytes(blocks: number): number {
  return 8 * (1 + blocks);
}

/** Where the status words begin: behind the data, 64-byte aligned. */
export function statusOffsetOf(bytes: number): number {
  return Math.ceil(bytes / 64) * 64;
}

/** Reads `target.length` bytes; a short read is a file that was cut under us. */
export function readFully(fd: number, target: Uint8Array, position: number): void {
  for (let done = 0; done < target.length;) {
    const count = readSync(fd, target, done, target.length - done, position + done);
    if (count === 0)
      throw transferError("TRANSFER_REGION_GONE", "A shared file ended early: its owner cut it.");
    done += count;
  }
}

export function writeFully(fd: number, source: Uint8Array, position: number): void {
  for (let done = 0; done < source.length;)
    done += writeSync(fd, source, done, source.length - done, position + done);
}

/** A region's memory in a file of the shared directory. Reads and writes go through the kernel, one copy each. */
export function allocateSharedFile(
  directory: string,
  name: string,
  bytes: number,
  blockBytes: number | undefined,
): AllocatedMemory {
  const path = join(directory, name);
  const blocks = blockBytes === undefined ? 0 : Math.ceil(bytes / blockBytes);
  const statusOffset = statusOffsetOf(bytes);
  let fd: number;
  try {
    fd = openSync(
      path,
      constants.O_RDWR | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW,
      0o600,
    );
  } catch (error) {
    throw transferError(
      "TRANSFER_LIMIT",
      `Can't make shared memory in ${directory}: ${(error as Error).message}.`,
      { directory },
      error,
    );
  }
  const words = createStatus(bytes, blockBytes);
  try {
    ftruncateSync(fd, statusOffset + statusBytes(blocks));
    writeFully(fd, new Uint8Array(words.buffer), statusOffset);
  } catch (error) {
    closeSync(fd);
    unlinkSync(path);
    throw transferError(
      "TRANSFER_LIMIT",
      `No room for ${bytes} bytes in ${directory}: ${(error as Error).message}.`,
      { directory, bytes },
      error,
    );
  }
  const storeWord = (index: number): void =>
    writeFully(fd, new Uint8Array(words.buffer, index * 8, 8), statusOffset + index * 8);
  const epochs: EpochTable | undefined =
    blockBytes === undefined ? undefined : statusEpochs(words, blockBytes, storeWord);
  return {
    segments: undefined,
    status: undefined,
    shared: { kind: "file", fd, name, statusOffset },
    epochs,
    gather(offset, length) {
      const copy = new Uint8Array(length);
      readFully(fd, copy, offset);
      return copy;
    },
    scatter(offset, source) {
      try {
        writeFully(fd, source, offset);
      } catch (error) {
        throw transferError(
          "TRANSFER_LIMIT",
          `Writing to shared memory failed: ${(error as Error).message}.`,
          { directory },
          error,
        );
      }
    },
    free() {
      words[0] = 0n;
      storeWord(0);
      closeSync(fd);
      unlinkSync(path);
    },
  };
}

/** Opens a peer's file by its name in our own directory: a peer can't point us at any other file. */
export function openSharedFile(directory: string, name: string, neededBytes: number): number {
  if (!/^[0-9a-f-]+\.kv$/.test(name))
    throw transferError(
      "TRANSFER_METADATA_INVALID",
      "A peer named shared memory in a form that no agent makes.",
    );
  let fd: number;
  try {
    fd = openSync(join(directory, name), constants.O_RDWR | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    throw transferError(
      "TRANSFER_REGION_GONE",
      `Shared memory ${name} is gone: its owner freed it or ended.`,
      { name },
      error,
    );
  }
  const stat = fstatSync(fd);
  if (!stat.isFile() || stat.size < neededBytes) {
    closeSync(fd);
    throw transferError(
      "TRANSFER_METADATA_INVALID",
      `Shared memory ${name} is smaller than its owner said.`,
      { name, bytes: stat.size },
    );
  }
  return fd;
}

/** Makes the directory (only this user can enter it) and removes what processes that no longer run have left in it. */
export function prepareSharedDirectory(directory: string): void {
  try {
    mkdirSync(directory, { mode: 0o700 });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST")
      throw transferError(
        "TRANSFER_PATH_UNAVAILABLE",
        `Shared memory can't use ${directory}: ${(error as Error).message}. Pass another \`directory\`, or leave the transport out.`,
        { directory },
        error,
      );
  }
  const status = lstatSync(directory);
  if (!status.isDirectory() || status.uid !== process.getuid?.() || (status.mode & 0o077) !== 0)
    throw transferError(
      "TRANSFER_PATH_UNAVAILABLE",
      `Shared memory can't use ${directory}: it must be a directory of this user that nobody else may enter (mode 0700).`,
      { directory },
    );
  for (const name of readdirSync(directory)) {
    const owner = /^([0-9]+)-([0-9]+)-/.exec(name);
    if (owner === null || processStart(Number(owner[1])) === owner[2]) continue;
    try {
      unlinkSync(join(directory, name));
    } catch {
      // Another agent cleaned up at the same moment.
    }
  }
}

/** Start time of a process in clock ticks since boot: with the pid it names a process for good, unlike the pid alone. */
export function processStart(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19];
  } catch {
    return undefined;
  }
}
