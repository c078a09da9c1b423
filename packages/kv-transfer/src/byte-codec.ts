import { transferError } from "./transfer-error.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true });

/** Grows as it is written; little-endian. */
export interface ByteWriter {
  u8(value: number): ByteWriter;
  u32(value: number): ByteWriter;
  u64(value: bigint): ByteWriter;
  /** An exact integer below 2^53, as 8 bytes. */
  offset(value: number): ByteWriter;
  /** Raw bytes without a length. */
  raw(value: Uint8Array): ByteWriter;
  /** Length-prefixed bytes. */
  bytes(value: Uint8Array): ByteWriter;
  text(value: string): ByteWriter;
  finish(): Uint8Array;
}

export function createByteWriter(capacity = 256): ByteWriter {
  let buffer = new Uint8Array(capacity);
  let view = new DataView(buffer.buffer);
  let at = 0;
  const room = (bytes: number): void => {
    if (at + bytes <= buffer.length) return;
    const grown = new Uint8Array(Math.max(buffer.length * 2, at + bytes));
    grown.set(buffer);
    buffer = grown;
    view = new DataView(buffer.buffer);
  };
  const writer: ByteWriter = {
    u8(value) {
      room(1);
      view.setUint8(at, value);
      at += 1;
      return writer;
    },
    u32(value) {
      room(4);
      view.setUint32(at, value, true);
      at += 4;
      return writer;
    },
    u64(value) {
      room(8);
      view.setBigUint64(at, value, true);
      at += 8;
      return writer;
    },
    offset(value) {
      room(8);
      view.setUint32(at, value >>> 0, true);
      view.setUint32(at + 4, Math.floor(value / 0x1_0000_0000), true);
      at += 8;
      return writer;
    },
    raw(value) {
      room(value.length);
      buffer.set(value, at);
      at += value.length;
      return writer;
    },
    bytes(value) {
      writer.u32(value.length);
      return writer.raw(value);
    },
    text: (value) => writer.bytes(encoder.encode(value)),
    finish: () => buffer.subarray(0, at),
  };
  return writer;
}

/** Reads what a ByteWriter wrote. Whatever is too short, too long or not UTF-8 throws TRANSFER_METADATA_INVALID. */
export interface ByteReader {
  readonly left: number;
  u8(): number;
  u32(): number;
  u64(): bigint;
  offset(): number;
  raw(length: number): Uint8Array;
  bytes(limit: number): Uint8Array;
  text(limit: number): string;
  /** A count of items of at least `itemBytes` bytes each: refused where the rest can't hold that many. */
  count(itemBytes: number): number;
  end(): void;
}

export function createByteReader(source: Uint8Array, what: string): ByteReader {
  const view = new DataView(source.buffer, source.byteOffset, source.byteLength);
  let at = 0;
  const bad = (why: string): never => {
    throw transferError(
      "TRANSFER_METADATA_INVALID",
      `${what} is damaged: ${why} at byte ${at} of ${source.length}.`,
      { at },
    );
  };
  const take = (bytes: number): number => {
    if (bytes > source.length - at) bad(`${bytes} more bytes expected`);
    at += bytes;
    return at - bytes;
  };
  const reader: ByteReader = {
    get left() {
      return source.length - at;
    },
    u8: () => view.getUint8(take(1)),
    u32: () => view.getUint32(take(4), true),
    u64: () => view.getBigUint64(take(8), true),
    offset() {
      const from = take(8);
      const high = view.getUint32(from + 4, true);
      if (high > 0x1f_ffff) bad("an offset beyond 2^53");
      return high * 0x1_0000_0000 + view.getUint32(from, true);
    },
    raw(length) {
      const from = take(length);
      return source.subarray(from, from + length);
    },
    bytes(limit) {
      const length = reader.u32();
      if (length > limit) bad(`a field of ${length} bytes where ${limit} are allowed`);
      return reader.raw(length);
    },
    text(limit) {
      const raw = reader.bytes(limit);
      try {
        return decoder.decode(raw);
      } catch {
        return bad("text that is not UTF-8");
      }
    },
    count(itemBytes) {
      const count = reader.u32();
      if (count * itemBytes > source.length - at) bad(`${count} items that can't fit`);
      return count;
    },
    end() {
      if (at !== source.length) bad("trailing bytes");
    },
  };
  return reader;
}
