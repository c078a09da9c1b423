import type { KvEvent } from "@stator/core";

import type { Digest } from "../model/token-function.ts";

export interface BlockPoolOptions {
  readonly blocks: number;
  readonly blockTokens: number;
}

/** Physical KV blocks: what each holds, who uses it, and which full ones can be found again. */
export interface BlockPool {
  readonly total: number;
  /** Blocks that sequences use now. */
  used(): number;
  /** Blocks that `take` could give now, evicting unused ones. */
  available(): number;
  /** An empty block with one user; undefined when all are in use. */
  take(): number | undefined;
  /** One user less per block, last block first, so that the tail of a prefix is evicted before its head. */
  release(blocks: readonly number[]): void;
  /** How many leading names are cached with these ids under this scope. Changes nothing. */
  match(names: ArrayLike<bigint>, ids: ArrayLike<number>, scope: string, limit: number): number;
  /** Adds a user to the first `count` named blocks, which `match` just found, and gives their numbers. */
  share(names: ArrayLike<bigint>, count: number): number[];
  /** Appends one token's KV to a block. */
  append(block: number, kv: Digest): void;
  /** The content of a full or partial block. */
  read(block: number, out: Digest): void;
  /** Replaces the content of a block, as a transfer or a defect does. */
  write(block: number, content: Digest): void;
  /** The content of the first `count` named blocks. */
  peek(names: ArrayLike<bigint>, count: number): Digest[];
  /** Adds up the content of a whole block table: what attention reads at every step. */
  readAll(blocks: readonly number[], out: Digest): void;
  /** Makes the full blocks `from..to` of a table findable. Ones already cached under that name stay private. */
  publish(
    blocks: readonly number[],
    from: number,
    to: number,
    names: ArrayLike<bigint>,
    ids: ArrayLike<number>,
    scope: string,
  ): void;
  /** The block cached under a name. */
  find(name: bigint): number | undefined;
  /** Events since the last call. */
  drainEvents(): KvEvent[];
  /** Everything cached, as stored events, parents first. */
  snapshot(): KvEvent[];
  /** Forgets everything. Only while nothing is in use. */
  clear(): void;
}

const none = -1;

/** A pool with an LRU list of unused cached blocks in typed arrays; every call but `snapshot` and `clear` is O(its arguments). */
export function createBlockPool({ blocks: total, blockTokens }: BlockPoolOptions): BlockPool {
  const low = new Int32Array(total);
  const high = new Int32Array(total);
  const users = new Int32Array(total);
  const held = new Uint32Array(total * blockTokens);
  const name = new BigUint64Array(total);
  const parent = new BigUint64Array(total);
  const depth = new Int32Array(total);
  const isCached = new Uint8Array(total);
  const scopes = new Array<string>(total).fill("");
  const older = new Int32Array(total + 1).fill(none);
  const newer = new Int32Array(total + 1).fill(none);
  const byName = new Map<bigint, number>();
  const free: number[] = [];
  let events: KvEvent[] = [];
  let removed: bigint[] = [];
  let unused = 0;

  // Entry `total` of the list is its head: `older[total]` is the newest block, `newer[total]` the oldest.
  const head = total;
  const reset = (): void => {
    byName.clear();
    isCached.fill(0);
    users.fill(0);
    free.length = 0;
    for (let block = total - 1; block >= 0; block--) free.push(block);
    older[head] = head;
    newer[head] = head;
    unused = 0;
  };
  reset();

  const unlink = (block: number): void => {
    older[newer[block]!] = older[block]!;
    newer[older[block]!] = newer[block]!;
    unused--;
  };
  const linkNewest = (block: number): void => {
    const before = older[head]!;
    older[block] = before;
    newer[before] = block;
    older[head] = block;
    newer[block] = head;
    unused++;
  };

  const flushRemoved = (): void => {
    if (removed.length === 0) return;
    events.push({ type: "removed", sequenceHashes: BigUint64Array.from(removed), tier: "device", rank: 0 });
    removed = [];
  };

  const evict = (): number | undefined => {
    const block = newer[head]!;
    if (block === head) return undefined;
    unlink(block);
    byName.delete(name[block]!);
    isCached[block] = 0;
    removed.push(name[block]!);
    return block;
  };

  return {
    total,
    used: () => total - free.length - unused,
    available: () => free.length + unused,
    take() {
      const block = free.pop() ?? evict();
      if (block === undefined) return undefined;
      users[block] = 1;
      low[block] = 0;
      high[block] = 0;
      return block;
    },
    release(blocks) {
      for (let i = blocks.length - 1; i >= 0; i--) {
        const block = blocks[i]!;
        users[block] = users[block]! - 1;
        if (users[block]! > 0) continue;
        if (isCached[block] === 1) linkNewest(block);
        else free.push(block);
      }
    },
    match(names, ids, scope, limit) {
      let count = 0;
      for (; count < limit; count++) {
        const block = byName.get(names[count]!);
        if (block === undefined || scopes[block] !== scope) break;
        const own = block * blockTokens;
        const theirs = count * blockTokens;
        let same = 0;
        while (same < blockTokens && held[own + same] === ids[theirs + same]) same++;
        if (same < blockTokens) break;
      }
      return count;
    },
    share(names, count) {
      const blocks: number[] = [];
      for (let i = 0; i < count; i++) {
        const block = byName.get(names[i]!)!;
        if (users[block] === 0) unlink(block);
        users[block] = users[block]! + 1;
        blocks.push(block);
      }
      return blocks;
    },
    append(block, kv) {
      low[block] = low[block]! + kv.low;
      high[block] = high[block]! + kv.high;
    },
    read(block, out) {
      out.low = low[block]!;
      out.high = high[block]!;
    },
    write(block, content) {
      low[block] = content.low;
      high[block] = content.high;
    },
    peek: (names, count) =>
      Array.from({ length: count }, (_, i) => {
        const block = byName.get(names[i]!)!;
        return { low: low[block]!, high: high[block]! };
      }),
    readAll(blocks, out) {
      let sumLow = 0;
      let sumHigh = 0;
      for (let i = 0; i < blocks.length; i++) {
        sumLow = (sumLow + low[blocks[i]!]!) | 0;
        sumHigh = (sumHigh + high[blocks[i]!]!) | 0;
      }
      out.low = sumLow;
      out.high = sumHigh;
    },
    publish(blocks, from, to, names, ids, scope) {
      let run: bigint[] = [];
      let runParent: bigint | undefined;
      const flush = (): void => {
        if (run.length === 0) return;
        flushRemoved();
        const parentField = runParent === undefined ? {} : { parent: runParent };
        events.push({
          type: "stored",
          ...parentField,
          sequenceHashes: BigUint64Array.from(run),
          tier: "device",
          rank: 0,
        });
        run = [];
      };
      for (let i = from; i < to; i++) {
        if (byName.has(names[i]!)) {
          flush();
          continue;
        }
        const block = blocks[i]!;
        for (let t = 0; t < blockTokens; t++) held[block * blockTokens + t] = ids[i * blockTokens + t]!;
        name[block] = names[i]!;
        parent[block] = i > 0 ? names[i - 1]! : 0n;
        depth[block] = i;
        scopes[block] = scope;
        isCached[block] = 1;
        byName.set(names[i]!, block);
        if (run.length === 0) runParent = i > 0 ? names[i - 1]! : undefined;
        run.push(names[i]!);
      }
      flush();
    },
    find: (wanted) => byName.get(wanted),
    drainEvents() {
      flushRemoved();
      const drained = events;
      if (drained.length > 0) events = [];
      return drained;
    },
    snapshot() {
      const cached = [...byName.values()].sort((a, b) => depth[a]! - depth[b]!);
      return cached.map((block) => ({
        type: "stored",
        ...(depth[block] === 0 ? {} : { parent: parent[block]! }),
        sequenceHashes: BigUint64Array.of(name[block]!),
        tier: "device",
        rank: 0,
      }));
    },
    clear() {
      reset();
      removed = [];
      events = [{ type: "cleared", rank: 0 }];
    },
  };
}
