import { randomBytes } from "node:crypto";
import { transferError } from "../transfer-error.ts";
import type { AllocatedMemory, EpochTable, RegionMemory } from "../transport/transport.ts";

/** Registered memory of this process. It holds the backing store until `deregister`, so garbage collection can't free it. */
export interface Region extends RegionMemory {
  /** Copies `length` bytes out. */
  read(offset: number, length: number): Uint8Array;
  /** Copies bytes in. */
  write(offset: number, source: Uint8Array): void;
  /**
   * Ends the region: new accesses of peers are refused at once, own transfers that use it are waited for, then memory is let go.
   * A second call does nothing.
   */
  deregister(): Promise<void>;
}

export interface RegionInternal extends Region {
  hold(): void;
  unhold(): void;
}

/** Throws TRANSFER_OUT_OF_BOUNDS unless `[offset, offset + length)` is inside a region of `bytes` bytes. */
export function checkBounds(
  regionId: number,
  bytes: number,
  offset: number,
  length: number,
  index?: number,
): void {
  const isValid =
    Number.isSafeInteger(offset) &&
    Number.isSafeInteger(length) &&
    offset >= 0 &&
    length > 0 &&
    length <= bytes &&
    offset <= bytes - length;
  if (isValid) return;
  throw transferError(
    "TRANSFER_OUT_OF_BOUNDS",
    `Range offset ${offset}, length ${length} is not inside region ${regionId} of ${bytes} bytes${index === undefined ? "" : ` (descriptor ${index})`}. Lengths must be at least 1.`,
    { region: regionId, offset, length, bytes, ...(index === undefined ? {} : { index }) },
  );
}

/** Status words of a region: its life, then one epoch per block. */
export function createStatus(bytes: number, blockBytes: number | undefined): BigUint64Array {
  const status = new BigUint64Array(1 + (blockBytes === undefined ? 0 : Math.ceil(bytes / blockBytes)));
  status[0] = 1n;
  return status;
}

/** The epoch table that lies in a region's status words. `stored` is told which word changed. */
export function statusEpochs(
  status: BigUint64Array,
  blockBytes: number,
  stored?: (word: number) => void,
): EpochTable {
  const blocks = status.length - 1;
  return {
    blocks,
    blockBytes,
    get: (block) => Atomics.load(status, block + 1),
    bump(block) {
      if (!(block >= 0 && block < blocks))
        throw transferError(
          "TRANSFER_OUT_OF_BOUNDS",
          `Block ${block} is not one of the region's ${blocks}.`,
          { block },
        );
      const value = Atomics.add(status, block + 1, 1n) + 1n;
      stored?.(block + 1);
      return value;
    },
  };
}

/** The memory of one or several buffers, end to end. Refuses what the runtime may move or free under us. */
export function bufferMemory(
  buffers: readonly Uint8Array[],
  blockBytes: number | undefined,
): AllocatedMemory & { readonly bytes: number } {
  const starts = new Float64Array(buffers.length + 1);
  buffers.forEach((buffer, i) => {
    const backing = buffer.buffer as ArrayBufferLike & {
      readonly resizable?: boolean;
      readonly growable?: boolean;
    };
    if (backing.resizable === true || backing.growable === true)
      throw transferError(
        "TRANSFER_OPTION_INVALID",
        "A resizable buffer can't be registered: pass a fixed-length one.",
        { index: i },
      );
    if (buffer.byteLength === 0)
      throw transferError("TRANSFER_OPTION_INVALID", `Buffer ${i} is empty or detached.`, { index: i });
    starts[i + 1] = (starts[i] ?? 0) + buffer.byteLength;
  });
  const bytes = starts[buffers.length] ?? 0;
  if (bytes === 0) throw transferError("TRANSFER_OPTION_INVALID", "A region needs at least one byte.");
  const only = buffers.length === 1 ? buffers[0] : undefined;
  const intact = (buffer: Uint8Array): Uint8Array => {
    if (buffer.byteLength === 0)
      throw transferError(
        "TRANSFER_REGION_GONE",
        "The registered buffer was detached (transferred to another thread?); register memory that stays.",
      );
    return buffer;
  };
  const find = (offset: number): number => {
    let low = 0;
    let high = buffers.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if ((starts[middle] ?? 0) <= offset) low = middle;
      else high = middle - 1;
    }
    return low;
  };
  const walk = (offset: number, length: number, visit: (part: Uint8Array, at: number) => void): void => {
    let done = 0;
    for (let i = find(offset); done < length; i += 1) {
      const from = offset + done - (starts[i] ?? 0);
      const buffer = intact(buffers[i] as Uint8Array);
      const take = Math.min(buffer.byteLength - from, length - done);
      visit(buffer.subarray(from, from + take), done);
      done += take;
    }
  };
  const status = createStatus(bytes, blockBytes);
  return {
    bytes,
    segments: buffers,
    status,
    shared: undefined,
    epochs: blockBytes === undefined ? undefined : statusEpochs(status, blockBytes),
    gather(offset, length) {
      if (only !== undefined) return intact(only).subarray(offset, offset + length);
      const i = find(offset);
      const from = offset - (starts[i] ?? 0);
      const first = intact(buffers[i] as Uint8Array);
      if (from + length <= first.byteLength) return first.subarray(from, from + length);
      const joined = new Uint8Array(length);
      walk(offset, length, (part, at) => joined.set(part, at));
      return joined;
    },
    scatter(offset, source) {
      if (only !== undefined) intact(only).set(source, offset);
      else walk(offset, source.byteLength, (part, at) => part.set(source.subarray(at, at + part.byteLength)));
    },
    free() {
      Atomics.store(status, 0, 0n);
    },
  };
}

/** Makes a region over memory; `onGone` is called once, when nothing uses it any more. */
export function createRegion(
  id: number,
  bytes: number,
  memory: AllocatedMemory,
  onGone: () => void,
): RegionInternal {
  const key = randomBytes(8).readBigUInt64LE();
  let isAlive = true;
  let holds = 0;
  let gone: Promise<void> | undefined;
  let letGo: (() => void) | undefined;
  let backing: AllocatedMemory | undefined = memory;
  const use = (): AllocatedMemory => {
    if (backing === undefined)
      throw transferError("TRANSFER_REGION_GONE", `Region ${id} was deregistered.`, { region: id });
    return backing;
  };
  return {
    id,
    key,
    bytes,
    memory: memory.memory ?? "host",
    get device() {
      return backing?.device;
    },
    get isAlive() {
      return isAlive;
    },
    get epochs() {
      return backing?.epochs;
    },
    get shared() {
      return backing?.shared;
    },
    get segments() {
      return backing?.segments;
    },
    get status() {
      return backing?.status;
    },
    gather: (offset, length) => use().gather(offset, length),
    scatter: (offset, source) => use().scatter(offset, source),
    read(offset, length) {
      checkBounds(id, bytes, offset, length);
      return Uint8Array.from(use().gather(offset, length));
    },
    write(offset, source) {
      checkBounds(id, bytes, offset, source.byteLength);
      use().scatter(offset, source);
    },
    hold() {
      holds += 1;
    },
    unhold() {
      holds -= 1;
      if (holds === 0) letGo?.();
    },
    deregister() {
      if (gone !== undefined) return gone;
      isAlive = false;
      // Readers that map this memory can't be stopped: a bumped epoch makes whatever they read from now on worthless.
      const { epochs, status } = use();
      if (status !== undefined) Atomics.store(status, 0, 0n);
      if (epochs !== undefined) for (let block = 0; block < epochs.blocks; block += 1) epochs.bump(block);
      gone = new Promise<void>((resolve) => {
        letGo = () => {
          onGone();
          const freed: unknown = backing?.free();
          backing = undefined;
          // What can't be freed now is its store's to clean up.
          resolve(freed instanceof Promise ? freed.catch(() => undefined) : undefined);
        };
      });
      if (holds === 0) letGo?.();
      return gone;
    },
  };
}
