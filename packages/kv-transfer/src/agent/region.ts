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
export function checkBounds(regionId: number, bytes: number, offset: number, length: number, index?: number): void {
  const isValid =
    Number.isSafeInteger(offset) && Number.isSafeInteger(length) && offset >= 0 && length > 0 && length <= bytes && offset <= bytes - length;
  if (isValid) return;
  throw transferError(
    "TRANSFER_OUT_OF_BOUNDS",
    `Range offset ${offset}, length ${length} is not inside region ${regionId} of ${bytes} bytes${index === undefined ? "" : ` (descriptor ${index})`}. Lengths must be at least 1.`,
    { region: regionId, offset, length, bytes, ...(index === undefined ? {} : { index }) },
  );
}

/** An epoch table in this process's own memory. */
export function memoryEpochs(bytes: number, blockBytes: number): EpochTable {
  const blocks = Math.ceil(bytes / blockBytes);
  const values = new BigUint64Array(blocks);
  return {
    blocks,
    blockBytes,
    get: (block) => values[block] ?? 0n,
    bump(block) {
      if (block < 0 || block >= blocks) throw transferError("TRANSFER_OUT_OF_BOUNDS", `Block ${block} is not one of the region's ${blocks}.`, { block });
      return (values[block] = (values[block] ?? 0n) + 1n);
    },
  };
}

/** The memory of one or several buffers, end to end. Refuses what the runtime may move or free under us. */
export function bufferMemory(buffers: readonly Uint8Array[], blockBytes: number | undefined): AllocatedMemory & { readonly bytes: number } {
  const starts = new Float64Array(buffers.length + 1);
  buffers.forEach((buffer, i) => {
    const backing = buffer.buffer as ArrayBufferLike & { readonly resizable?: boolean; readonly growable?: boolean };
    if (backing.resizable === true || backing.growable === true)
      throw transferError("TRANSFER_OPTION_INVALID", "A resizable buffer can't be registered: pass a fixed-length one.", { index: i });
    if (buffer.byteLength === 0) throw transferError("TRANSFER_OPTION_INVALID", `Buffer ${i} is empty or detached.`, { index: i });
    starts[i + 1] = (starts[i] ?? 0) + buffer.byteLength;
  });
  const bytes = starts[buffers.length] ?? 0;
  if (bytes === 0) throw transferError("TRANSFER_OPTION_INVALID", "A region needs at least one byte.");
  const only = buffers.length === 1 ? buffers[0] : undefined;
  const intact = (buffer: Uint8Array): Uint8Array => {
    if (buffer.byteLength === 0)
      throw transferError("TRANSFER_REGION_GONE", "The registered buffer was detached (transferred to another thread?); register memory that stays.");
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
  return {
    bytes,
    view: only,
    shared: undefined,
    epochs: blockBytes === undefined ? undefined : memoryEpochs(bytes, blockBytes),
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
    free: () => undefined,
  };
}

/** Makes a region over memory; `onGone` is called once, when nothing uses it any more. */
export function createRegion(id: number, bytes: number, memory: AllocatedMemory, onGone: () => void): RegionInternal {
  const key = randomBytes(8).readBigUInt64LE();
  let isAlive = true;
  let holds = 0;
  let gone: Promise<void> | undefined;
  let letGo: (() => void) | undefined;
  let backing: AllocatedMemory | undefined = memory;
  const use = (): AllocatedMemory => {
    if (backing === undefined) throw transferError("TRANSFER_REGION_GONE", `Region ${id} was deregistered.`, { region: id });
    return backing;
  };
  return {
    id,
    key,
    bytes,
    memory: "host",
    get isAlive() {
      return isAlive;
    },
    get epochs() {
      return backing?.epochs;
    },
    get shared() {
      return backing?.shared;
    },
    get view() {
      return backing?.view;
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
      const epochs = use().epochs;
      if (epochs !== undefined) for (let block = 0; block < epochs.blocks; block += 1) epochs.bump(block);
      gone = new Promise<void>((resolve) => {
        letGo = () => {
          backing?.free();
          backing = undefined;
          onGone();
          resolve();
        };
      });
      if (holds === 0) letGo?.();
      return gone;
    },
  };
}
