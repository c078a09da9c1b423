import { mkdir, open as openFile, readdir, readFile, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { crc32 } from "node:zlib";
import { createByteReader, createByteWriter } from "../byte-codec.ts";
import { transferError } from "../transfer-error.ts";
import { createEvictionOrder } from "./eviction-order.ts";
import { keyText, type Tier, type TierPlugin } from "./kv-tier.ts";

const magic = 0x4b54_5353;
const formatVersion = 1;
/** Magic, version, key, name, payload bytes, payload CRC-32, header CRC-32. */
const headerBytes = 4 + 4 + 32 + 8 + 8 + 4 + 4;

export interface DiskTierOptions {
  /** Directory of this tier alone. Made if missing. What fits and is whole in it from an earlier run is taken over. */
  readonly directory: string;
  readonly budgetBytes: number;
}

interface Stored {
  readonly key: Uint8Array;
  readonly name: bigint;
}

/**
 * Blocks in files. Each is written beside its place and renamed, so a crash leaves whole blocks or none; header and payload carry checksums, and
 * what does not fit them is deleted instead of served.
 */
export function diskTier({ directory, budgetBytes }: DiskTierOptions): TierPlugin {
  if (!(budgetBytes >= 0))
    throw transferError("TRANSFER_OPTION_INVALID", "diskTier: budgetBytes must be at least 0.", {
      budgetBytes,
    });
  return {
    async open(onChange) {
      const order = createEvictionOrder<Stored>();
      const writing = new Map<string, Promise<boolean>>();
      let temporary = 0;
      const pathOf = (key: string): string => join(directory, key.slice(0, 2), `${key}.kv`);
      const drop = async (key: string): Promise<void> => {
        const stored = order.delete(key);
        if (stored === undefined) return;
        onChange({ type: "removed", tier: "disk", key: stored.key, name: stored.name });
        await rm(pathOf(key), { force: true });
      };
      const makeRoom = async (bytes: number): Promise<void> => {
        while (order.size > 0 && order.usedBytes + bytes > budgetBytes) await drop(order.victim() as string);
      };
      const write = async (key: string, stored: Stored, bytes: Uint8Array): Promise<boolean> => {
        const size = headerBytes + bytes.length;
        if (size > budgetBytes) return false;
        const body = createByteWriter(headerBytes)
          .u32(magic)
          .u32(formatVersion)
          .raw(stored.key)
          .u64(stored.name)
          .offset(bytes.length)
          .u32(crc32(bytes))
          .finish();
        const header = createByteWriter(headerBytes).raw(body).u32(crc32(body)).finish();
        await mkdir(join(directory, key.slice(0, 2)), { recursive: true });
        const path = join(directory, `${process.pid}-${(temporary += 1)}.tmp`);
        try {
          const file = await openFile(path, "wx", 0o600);
          try {
            await file.writev([header, bytes]);
            await file.datasync();
          } finally {
            await file.close();
          }
          await makeRoom(size);
          await rename(path, pathOf(key));
        } catch {
          // A full or broken disk costs a block, never a request.
          await rm(path, { force: true });
          return false;
        }
        order.set(key, stored, size);
        onChange({ type: "stored", tier: "disk", key: stored.key, name: stored.name });
        return true;
      };
      await mkdir(directory, { recursive: true, mode: 0o700 });
      await recover(directory, async (key, stored, size) => {
        order.set(key, stored, size);
        onChange({ type: "stored", tier: "disk", key: stored.key, name: stored.name });
        await makeRoom(0);
      });
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
          const text = keyText(key);
          await writing.get(text);
          const stored = order.use(text);
          if (stored === undefined) return undefined;
          try {
            const file = await readFile(pathOf(text));
            const { bytes, checksum } = readHeader(file, key);
            const payload = file.subarray(headerBytes);
            if (payload.length === bytes && crc32(payload) === checksum)
              return { ...stored, bytes: new Uint8Array(payload) };
          } catch {
            // Unreadable is the same as damaged.
          }
          await drop(text);
          return undefined;
        },
        put(block) {
          const text = keyText(block.key);
          if (order.use(text) !== undefined) return Promise.resolve(true);
          let running = writing.get(text);
          if (running === undefined) {
            running = write(text, { key: Uint8Array.from(block.key), name: block.name }, block.bytes).finally(
              () => writing.delete(text),
            );
            writing.set(text, running);
          }
          return running;
        },
        remove: (key) => drop(keyText(key)),
        async close() {
          await Promise.allSettled(writing.values());
        },
      };
      return tier;
    },
  };
}

function readHeader(
  file: Uint8Array,
  expectedKey?: Uint8Array,
): { readonly key: Uint8Array; readonly name: bigint; readonly bytes: number; readonly checksum: number } {
  const body = file.subarray(0, headerBytes - 4);
  const reader = createByteReader(file.subarray(0, headerBytes), "Block file");
  const isOurs = reader.u32() === magic && reader.u32() === formatVersion;
  const key = Uint8Array.from(reader.raw(32));
  const name = reader.u64();
  const bytes = reader.offset();
  const checksum = reader.u32();
  if (
    !isOurs ||
    reader.u32() !== crc32(body) ||
    (expectedKey !== undefined && Buffer.compare(key, expectedKey) !== 0)
  )
    throw transferError("TRANSFER_CHECKSUM", "A block file is damaged or belongs to another key.");
  return { key, name, bytes, checksum };
}

/** Takes over what an earlier run left, oldest first, and deletes what is not whole. */
async function recover(
  directory: string,
  found: (key: string, stored: Stored, bytes: number) => Promise<void>,
): Promise<void> {
  const blocks: {
    readonly key: string;
    readonly stored: Stored;
    readonly bytes: number;
    readonly usedAtMs: number;
  }[] = [];
  for (const folder of await readdir(directory, { withFileTypes: true })) {
    if (!folder.isDirectory()) {
      if (folder.name.endsWith(".tmp")) await rm(join(directory, folder.name), { force: true });
      continue;
    }
    for (const name of await readdir(join(directory, folder.name))) {
      const path = join(directory, folder.name, name);
      const file = await openFile(path, "r");
      try {
        const head = Buffer.alloc(headerBytes);
        await file.read(head, 0, headerBytes, 0);
        const { key, name: blockName, bytes } = readHeader(head);
        const status = await stat(path);
        if (status.size !== headerBytes + bytes || `${keyText(key)}.kv` !== name)
          throw transferError("TRANSFER_CHECKSUM", "A block file has the wrong size or name.");
        blocks.push({
          key: keyText(key),
          stored: { key, name: blockName },
          bytes: status.size,
          usedAtMs: status.mtimeMs,
        });
      } catch {
        await rm(path, { force: true });
      } finally {
        await file.close();
      }
    }
  }
  blocks.sort((a, b) => a.usedAtMs - b.usedAtMs);
  for (const { key, stored, bytes } of blocks) await found(key, stored, bytes);
}
