import { open } from "node:fs/promises";

import { EnginesError } from "../../errors/engines-error.ts";

export type GgufScalar = number | bigint | boolean | string;
type GgufValue = GgufScalar | readonly GgufScalar[];

/** The part of a GGUF file before its tensors. */
export interface GgufHeader {
  readonly metadata: ReadonlyMap<string, GgufValue>;
  readonly tensors: readonly GgufTensor[];
  /** Bytes of the header, tensor list included. */
  readonly headerBytes: number;
  readonly fileBytes: number;
}

interface GgufTensor {
  readonly name: string;
  readonly dimensions: readonly number[];
  /** ggml type number. */
  readonly type: number;
}

const firstReadBytes = 4 * 2 ** 20;
const largestHeaderBytes = 512 * 2 ** 20;

/** Thrown inside when the bytes read so far end inside the header. */
const tooShort: unique symbol = Symbol("too short");

/**
 * Reads the header of a GGUF file, version 2 or 3 (specification: ggml's docs/gguf.md).
 *
 * @throws EnginesError `ENGINES_MODEL_INVALID`
 */
export async function readGguf(path: string): Promise<GgufHeader> {
  const file = await open(path, "r").catch((cause: unknown) => {
    throw invalid(path, "it cannot be opened", cause);
  });
  try {
    const { size } = await file.stat();
    for (let bytes = firstReadBytes; ; bytes *= 4) {
      const buffer = Buffer.alloc(Math.min(bytes, size));
      await file.read(buffer, 0, buffer.length, 0);
      try {
        return parseHeader(buffer, size);
      } catch (error) {
        if (error !== tooShort)
          throw invalid(path, error instanceof Error ? error.message : String(error), error);
        if (bytes >= size || bytes >= largestHeaderBytes)
          throw invalid(path, "its header is cut off", undefined);
      }
    }
  } finally {
    await file.close();
  }
}

function invalid(path: string, why: string, cause: unknown): EnginesError {
  return new EnginesError({
    code: "ENGINES_MODEL_INVALID",
    kind: "invalid",
    message: `${path} is not a model that can be loaded: ${why}. Give the path of a GGUF file.`,
    cause,
  });
}

function parseHeader(buffer: Buffer, fileBytes: number): GgufHeader {
  let at = 0;
  const take = (bytes: number): number => {
    if (bytes < 0 || at + bytes > buffer.length) throw tooShort;
    const from = at;
    at += bytes;
    return from;
  };
  const u32 = (): number => buffer.readUInt32LE(take(4));
  const u64 = (): number => {
    const value = buffer.readBigUInt64LE(take(8));
    if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw new Error("a length in it is absurd");
    return Number(value);
  };
  const text = (): string => {
    const length = u64();
    const from = take(length);
    return buffer.toString("utf8", from, from + length);
  };
  const scalars: Readonly<Record<number, () => GgufScalar>> = {
    0: () => buffer.readUInt8(take(1)),
    1: () => buffer.readInt8(take(1)),
    2: () => buffer.readUInt16LE(take(2)),
    3: () => buffer.readInt16LE(take(2)),
    4: u32,
    5: () => buffer.readInt32LE(take(4)),
    6: () => buffer.readFloatLE(take(4)),
    7: () => buffer.readUInt8(take(1)) !== 0,
    8: text,
    10: () => buffer.readBigUInt64LE(take(8)),
    11: () => buffer.readBigInt64LE(take(8)),
    12: () => buffer.readDoubleLE(take(8)),
  };
  const scalar = (type: number): GgufScalar => {
    const read = scalars[type];
    if (read === undefined) throw new Error(`it has a value of unknown type ${type}`);
    return read();
  };
  const value = (): GgufValue => {
    const type = u32();
    if (type !== 9) return scalar(type);
    const itemType = u32();
    const length = u64();
    if (length > buffer.length) throw tooShort;
    return Array.from({ length }, () => scalar(itemType));
  };

  if (buffer.length < 4 || buffer.toString("latin1", take(4), 4) !== "GGUF")
    throw new Error("it does not start with GGUF");
  const version = u32();
  if (version !== 2 && version !== 3) throw new Error(`it has GGUF version ${version}; 2 and 3 are known`);
  const tensorCount = u64();
  const entryCount = u64();
  const metadata = new Map<string, GgufValue>();
  for (let i = 0; i < entryCount; i++) metadata.set(text(), value());
  const tensors: GgufTensor[] = [];
  for (let i = 0; i < tensorCount; i++) {
    const name = text();
    const dimensions = Array.from({ length: u32() }, u64);
    tensors.push({ name, dimensions, type: u32() });
    take(8);
  }
  return { metadata, tensors, headerBytes: at, fileBytes };
}

/** A number of the metadata, whatever integer or float type it has. */
export function numberOf({ metadata }: GgufHeader, key: string): number | undefined {
  const value = metadata.get(key);
  return typeof value === "number" || typeof value === "bigint" ? Number(value) : undefined;
}

export function stringOf({ metadata }: GgufHeader, key: string): string | undefined {
  const value = metadata.get(key);
  return typeof value === "string" ? value : undefined;
}

export function booleanOf({ metadata }: GgufHeader, key: string): boolean | undefined {
  const value = metadata.get(key);
  return typeof value === "boolean" ? value : undefined;
}

export function listOf({ metadata }: GgufHeader, key: string): readonly GgufScalar[] | undefined {
  const value = metadata.get(key);
  return Array.isArray(value) ? (value as readonly GgufScalar[]) : undefined;
}
