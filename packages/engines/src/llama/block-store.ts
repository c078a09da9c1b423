import type { KvPresence } from "./kv-presence.ts";

/** KV blocks in host memory by SHA-256 reuse key, least recently used out first. */
export interface BlockStore {
  readonly usedBytes: number;
  /** The block's content; counts as a use. */
  get(key: Uint8Array): Uint8Array | undefined;
  /** Keeps a block, evicting others; one that is larger than the store is not kept. */
  put(key: Uint8Array, bytes: Uint8Array, name: bigint, parent: bigint | undefined): void;
}

interface Entry {
  readonly bytes: Uint8Array;
  readonly name: bigint;
}

const text = (key: Uint8Array): string =>
  Buffer.from(key.buffer, key.byteOffset, key.length).toString("latin1");

export function createBlockStore(capacityBytes: number, presence: KvPresence): BlockStore {
  // A Map keeps insertion order: the first entry is the least recently used.
  const entries = new Map<string, Entry>();
  let usedBytes = 0;

  return {
    get usedBytes() {
      return usedBytes;
    },
    get(key) {
      const id = text(key);
      const entry = entries.get(id);
      if (entry === undefined) return undefined;
      entries.delete(id);
      entries.set(id, entry);
      return entry.bytes;
    },
    put(key, bytes, name, parent) {
      const id = text(key);
      if (entries.has(id) || bytes.length > capacityBytes) return;
      entries.set(id, { bytes, name });
      presence.addOne(name, parent);
      usedBytes += bytes.length;
      for (const [oldest, entry] of entries) {
        if (usedBytes <= capacityBytes) break;
        entries.delete(oldest);
        usedBytes -= entry.bytes.length;
        presence.removeOne(entry.name);
      }
    },
  };
}
