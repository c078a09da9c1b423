interface Entry<Value> {
  readonly value: Value;
  readonly bytes: number;
  uses: number;
}

/** Entries by key, in the order of their last use, that know whom to evict. */
export interface EvictionOrder<Value> {
  readonly usedBytes: number;
  readonly size: number;
  peek(key: string): Value | undefined;
  /** Finds an entry and counts the use. */
  use(key: string): Value | undefined;
  set(key: string, value: Value, bytes: number): void;
  delete(key: string): Value | undefined;
  /** The next one to go. */
  victim(): string | undefined;
  /** Bytes of an entry; 0 if there is none. */
  bytes(key: string): number;
}

/** Entries that one search spares at most. */
const chances = 8;

/** LRU with frequency: what is least recently used goes, unless it was used several times; then it loses half of its uses and goes to the back. A block of a hot system prompt outlives a burst of one-off prompts, and yesterday's hot prompt does not live for ever. */
export function createEvictionOrder<Value>(): EvictionOrder<Value> {
  const entries = new Map<string, Entry<Value>>();
  let usedBytes = 0;
  const order: EvictionOrder<Value> = {
    get usedBytes() {
      return usedBytes;
    },
    get size() {
      return entries.size;
    },
    peek: (key) => entries.get(key)?.value,
    use(key) {
      const entry = entries.get(key);
      if (entry === undefined) return undefined;
      entry.uses += 1;
      entries.delete(key);
      entries.set(key, entry);
      return entry.value;
    },
    set(key, value, bytes) {
      order.delete(key);
      entries.set(key, { value, bytes, uses: 1 });
      usedBytes += bytes;
    },
    delete(key) {
      const entry = entries.get(key);
      if (entry === undefined) return undefined;
      entries.delete(key);
      usedBytes -= entry.bytes;
      return entry.value;
    },
    victim() {
      let spared = 0;
      for (const [key, entry] of entries) {
        if (entry.uses <= 1 || spared === chances) return key;
        spared += 1;
        entry.uses >>= 1;
        entries.delete(key);
        entries.set(key, entry);
      }
      return entries.keys().next().value;
    },
    bytes: (key) => entries.get(key)?.bytes ?? 0,
  };
  return order;
}
