import { crc32 as zlibCrc32, inflateRawSync } from "node:zlib";
import { PlannerError } from "../planner-error.ts";

/** Arrays of numbers by name, flattened, as `numpy.savez` keeps them. */
export type NumberArrays = Readonly<Record<string, readonly number[]>>;

const types: Readonly<
  Record<string, readonly [bytes: number, read: (view: DataView, at: number) => number]>
> = {
  "<f8": [8, (view, at) => view.getFloat64(at, true)],
  "<f4": [4, (view, at) => view.getFloat32(at, true)],
  "<i8": [8, (view, at) => Number(view.getBigInt64(at, true))],
  "<i4": [4, (view, at) => view.getInt32(at, true)],
};

/**
 * Reads `numpy.savez` and `savez_compressed` files: a zip of `.npy` members of floats or integers.
 *
 * @throws PlannerError `PLANNER_PROFILE_INVALID` for anything else.
 */
export function readNpz(bytes: Uint8Array): NumberArrays {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let end = bytes.length - 22;
  while (end >= 0 && view.getUint32(end, true) !== 0x06054b50) end--;
  if (end < 0) throw invalid("it is no zip archive");
  const arrays: Record<string, number[]> = {};
  let at = view.getUint32(end + 16, true);
  for (let i = 0; i < view.getUint16(end + 10, true); i++) {
    if (view.getUint32(at, true) !== 0x02014b50) throw invalid("its directory is broken");
    const method = view.getUint16(at + 10, true);
    const size = view.getUint32(at + 20, true);
    const nameBytes = view.getUint16(at + 28, true);
    const local = view.getUint32(at + 42, true);
    const name = new TextDecoder().decode(bytes.subarray(at + 46, at + 46 + nameBytes));
    const start = local + 30 + view.getUint16(local + 26, true) + view.getUint16(local + 28, true);
    const packed = bytes.subarray(start, start + size);
    if (name.endsWith(".npy"))
      arrays[name.slice(0, -4)] = readNpy(method === 8 ? inflateRawSync(packed) : packed, name);
    at += 46 + nameBytes + view.getUint16(at + 30, true) + view.getUint16(at + 32, true);
  }
  return arrays;
}

function readNpy(bytes: Uint8Array, name: string): number[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.getUint8(0) !== 0x93) throw invalid(`${name} is no array`);
  const isOld = view.getUint8(6) === 1;
  const headerBytes = isOld ? view.getUint16(8, true) : view.getUint32(8, true);
  const from = (isOld ? 10 : 12) + headerBytes;
  const header = new TextDecoder("latin1").decode(bytes.subarray(isOld ? 10 : 12, from));
  const type = types[/'descr':\s*'([^']+)'/.exec(header)?.[1] ?? ""];
  if (type === undefined) throw invalid(`${name} holds no numbers this reads: ${header.trim()}`);
  const [width, read] = type;
  const values: number[] = [];
  for (let offset = from; offset + width <= bytes.length; offset += width) values.push(read(view, offset));
  return values;
}

/** Writes one-dimensional arrays of doubles as `numpy.savez` does, uncompressed. */
export function writeNpz(arrays: NumberArrays): Uint8Array {
  const parts: Buffer[] = [];
  const directory: Buffer[] = [];
  let offset = 0;
  for (const [key, values] of Object.entries(arrays)) {
    const name = Buffer.from(`${key}.npy`);
    const data = npyOf(values);
    const fields = Buffer.alloc(26);
    fields.writeUInt16LE(20, 0);
    fields.writeUInt16LE(33, 8);
    fields.writeUInt32LE(crc32(data), 10);
    fields.writeUInt32LE(data.length, 14);
    fields.writeUInt32LE(data.length, 18);
    fields.writeUInt16LE(name.length, 22);
    parts.push(Buffer.from("PK\x03\x04", "latin1"), fields, name, data);
    const rest = Buffer.alloc(14);
    rest.writeUInt32LE(offset, 10);
    directory.push(Buffer.from("PK\x01\x02\x14\x00", "latin1"), fields, rest, name);
    offset += 30 + name.length + data.length;
  }
  const listed = Buffer.concat(directory);
  const end = Buffer.alloc(22);
  end.writeUInt32LE(0x06054b50, 0);
  end.writeUInt16LE(Object.keys(arrays).length, 8);
  end.writeUInt16LE(Object.keys(arrays).length, 10);
  end.writeUInt32LE(listed.length, 12);
  end.writeUInt32LE(offset, 16);
  return Buffer.concat([...parts, listed, end]);
}

function npyOf(values: readonly number[]): Buffer {
  const text = `{'descr': '<f8', 'fortran_order': False, 'shape': (${values.length},), }`;
  const header = `${text.padEnd(128 - 10 - 1)}\n`;
  const bytes = Buffer.alloc(128 + values.length * 8);
  bytes.write("\x93NUMPY\x01\x00", 0, "latin1");
  bytes.writeUInt16LE(header.length, 8);
  bytes.write(header, 10, "latin1");
  values.forEach((value, i) => bytes.writeDoubleLE(value, 128 + i * 8));
  return bytes;
}

/** `zlib.crc32` came with Node 20.15 and 22.2. */
const crc32: (data: Uint8Array) => number = zlibCrc32;

function invalid(why: string): PlannerError {
  return new PlannerError({
    code: "PLANNER_PROFILE_INVALID",
    kind: "invalid",
    message: `The npz file cannot be read: ${why}.`,
  });
}
