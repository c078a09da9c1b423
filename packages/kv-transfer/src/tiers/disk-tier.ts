import { mkdir, open, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { crc32 } from "node:zlib";
import { transferError } from "../transfer-error.ts";
import { blockHeaderBytes, readBlockHeader, scopeNumber, writeBlockHeader } from "./block-file.ts";
import { createEvictionOrder } from "./eviction-order.ts";
import { changeOf, keyText, type Tier, type TierBlock, type TierPlugin } from "./kv-tier.ts";
import { recoverBlocks } from "./recover-blocks.ts";

export interface DiskTierOptions {
  /** Directory of this tier alone. Made if missing. What fits and is whole in it from an earlier run is taken over. */
  readonly directory: string;
  /** Most bytes of files in it. */
  readonly budgetBytes: number;
}

interface Stored extends Omit<TierBlock, "bytes"> {
  /** Another scope's, from an earlier run: it fills the budget until it is evicted, and nothing is told of it. */
  readonly isForeign?: boolean;
}

/**
 * Blocks in files. Each is written beside its place and renamed, so a crash leaves whole blocks or none; header and
 * payload carry checksums, and what does not fit them is deleted instead of served.
 */
export function diskTier({ directory, budgetBytes }: DiskTierOptions): TierPlugin {
  if (!(budgetBytes >= 0))
    throw transferError("TRANSFER_OPTION_INVALID", "diskTier: budgetBytes must be at least 0.", {
      budgetBytes,
    });
  return {
    async open(onChange, scopeText) {
      const scope = scopeNumber(scopeText);
      const order = createEvictionOrder<Stored>();
      const writing = new Map<string, Promise<boolean>>();
      const removing = new Map<string, Promise<void>>();
      const made = new Set<string>();
      let comingBytes = 0;
      let files = 0;
      const pathOf = (key: Uint8Array): string => {
        const hex = Buffer.from(key).toString("hex");
        return join(directory, hex.slice(0, 2), `${hex}.kv`);
      };
      const drop = async (id: string): Promise<void> => {
        const stored = order.delete(id);
        if (stored === undefined) return;
        if (stored.isForeign !== true) onChange(changeOf("removed", "disk", stored));
        // A later write of the same key waits for this, or the file it renames would be deleted.
        const removal = rm(pathOf(stored.key), { force: true })
          .catch(() => undefined)
          .finally(() => removing.delete(id));
        removing.set(id, removal);
        await removal;
      };
      const makeRoom = async (): Promise<void> => {
        while (order.size > 0 && order.usedBytes + comingBytes > budgetBytes)
          await drop(order.victim() as string);
      };
      const write = async (id: string, { bytes, ...stored }: TierBlock): Promise<boolean> => {
        const size = blockHeaderBytes + bytes.length;
        if (size + comingBytes > budgetBytes) return false;
        comingBytes += size;
        const path = join(directory, `${process.pid}-${(files += 1)}.tmp`);
        try {
          await makeRoom();
          const target = pathOf(stored.key);
          const folder = join(target, "..");
          if (!made.has(folder)) {
            await mkdir(folder, { recursive: true, mode: 0o700 });
            made.add(folder);
          }
          {
            // Not synced: after a power failure the checksums tell what is whole.
            await using file = await open(path, "wx", 0o600);
            const { bytesWritten } = await file.writev([
              writeBlockHeader({ ...stored, scope }, bytes),
              bytes,
            ]);
            if (bytesWritten !== size) throw new Error("The disk is full.");
          }
          await removing.get(id);
          await rename(path, target);
        } catch {
          // A full or broken disk costs a block, never a request.
          await rm(path, { force: true }).catch(() => undefined);
          return false;
        } finally {
          comingBytes -= size;
        }
        order.set(id, stored, size);
        onChange(changeOf("stored", "disk", stored));
        return true;
      };
      await mkdir(directory, { recursive: true, mode: 0o700 });
      const found = await recoverBlocks(directory);
      // Oldest first, and before all of them what no prompt of this scope can use.
      found.sort((a, b) => Number(b.header.scope !== scope) - Number(a.header.scope !== scope));
      for (const { header, bytes } of found) {
        const isForeign = header.scope !== scope;
        const stored: Stored = { key: header.key, name: header.name, parent: header.parent, isForeign };
        order.set(keyText(header.key), stored, bytes);
        if (!isForeign) onChange(changeOf("stored", "disk", stored));
        await makeRoom();
      }
      const tier: Tier = {
        kind: "disk",
        budgetBytes,
        get usedBytes() {
          return order.usedBytes;
        },
        get blocks() {
          return order.size;
        },
        has: (key) => order.peek(keyText(key)) !== undefined,
        async get(key) {
          const id = keyText(key);
          const stored = order.use(id);
          if (stored === undefined) return undefined;
          try {
            const bytes = await readBlock(pathOf(key), key, order.bytes(id) - blockHeaderBytes);
            return { ...stored, bytes };
          } catch {
            // Unreadable is the same as damaged.
            await drop(id);
            return undefined;
          }
        },
        put(block) {
          const id = keyText(block.key);
          if (order.use(id) !== undefined) return Promise.resolve(true);
          let running = writing.get(id);
          if (running === undefined) {
            running = write(id, block).finally(() => writing.delete(id));
            writing.set(id, running);
          }
          return running;
        },
        async remove(key) {
          await writing.get(keyText(key));
          await drop(keyText(key));
        },
        async close() {
          await Promise.allSettled([...writing.values(), ...removing.values()]);
        },
      };
      return tier;
    },
  };
}

/** The payload of a block's file, checked. */
async function readBlock(path: string, key: Uint8Array, bytes: number): Promise<Uint8Array> {
  await using file = await open(path, "r");
  const content = Buffer.allocUnsafeSlow(blockHeaderBytes + bytes);
  const { bytesRead } = await file.read(content, 0, content.length, 0);
  const header = readBlockHeader(content, key);
  const payload = content.subarray(blockHeaderBytes);
  if (bytesRead !== content.length || header.bytes !== bytes || crc32(payload) !== header.checksum)
    throw transferError("TRANSFER_CHECKSUM", `The block file ${path} is damaged.`);
  return payload;
}
