import { open, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { transferError } from "../transfer-error.ts";
import { blockHeaderBytes, readBlockHeader, type BlockHeader } from "./block-file.ts";

/** Files looked at together. */
const readersAtOnce = 16;

/** A block that an earlier process left. */
export interface FoundBlock {
  readonly header: BlockHeader;
  /** Of the whole file. */
  readonly bytes: number;
  readonly writtenMs: number;
}

/**
 * What earlier processes left in a disk tier's directory, oldest first. Files that are not whole are deleted, and those
 * that a process which is gone did not finish.
 */
export async function recoverBlocks(directory: string): Promise<FoundBlock[]> {
  const found: FoundBlock[] = [];
  for (const folder of await readdir(directory, { withFileTypes: true })) {
    const inside = join(directory, folder.name);
    if (!folder.isDirectory()) {
      const writer = /^(\d+)-\d+\.tmp$/.exec(folder.name);
      if (writer !== null && !isAlive(Number(writer[1]))) await rm(inside, { force: true });
      continue;
    }
    const names = await readdir(inside);
    for (let i = 0; i < names.length; i += readersAtOnce)
      for (const block of await Promise.all(
        names.slice(i, i + readersAtOnce).map((name) => look(inside, name)),
      ))
        if (block !== undefined) found.push(block);
  }
  return found.sort((a, b) => a.writtenMs - b.writtenMs);
}

async function look(folder: string, name: string): Promise<FoundBlock | undefined> {
  const path = join(folder, name);
  try {
    await using file = await open(path, "r");
    const head = Buffer.alloc(blockHeaderBytes);
    await file.read(head, 0, blockHeaderBytes, 0);
    const header = readBlockHeader(head);
    const { size, mtimeMs } = await file.stat();
    if (size !== blockHeaderBytes + header.bytes || `${Buffer.from(header.key).toString("hex")}.kv` !== name)
      throw transferError("TRANSFER_CHECKSUM", "A block file has the wrong size or name.");
    return { header, bytes: size, writtenMs: mtimeMs };
  } catch {
    await rm(path, { force: true });
    return undefined;
  }
}

function isAlive(pid: number): boolean {
  if (pid === process.pid) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
