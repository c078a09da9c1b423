import { EnginesError } from "../../errors/engines-error.ts";

// llama.cpp's sequence-state file, version 3 (`llama_state_seq_save_file`), for plain attention without extra sections.
const magic = 0x67677371;
const version = 3;

/** One K or V tensor of one layer, as state files hold it. */
interface KvPlane {
  /** ggml type number. */
  readonly type: number;
  /** Bytes that one token has in it. */
  readonly rowBytes: number;
  /** V without flash attention lies in columns: bytes of one element. Absent: one row per token. */
  readonly elementBytes?: number;
}

/** What all state files of one context have in common. */
export interface KvLayout {
  /** Sequences of the context; a file of another number does not load. */
  readonly streams: number;
  readonly layers: number;
  readonly isTransposed: boolean;
  /** K of all layers, then V of all layers. */
  readonly planes: readonly KvPlane[];
  /** Bytes of one token over all planes. */
  readonly tokenBytes: number;
}

export interface ParsedState {
  readonly layout: KvLayout;
  readonly tokens: Int32Array;
  /** Index of the cell that holds each position, in order of position. */
  readonly cells: readonly number[];
  /** Where each plane's data starts in the file. */
  readonly offsets: readonly number[];
}

/** Reads a state file's structure. @throws EnginesError `ENGINES_UNSUPPORTED` if it is not plain attention KV. */
export function parseState(file: Buffer): ParsedState {
  let at = 0;
  const u32 = (): number => file.readUInt32LE((at += 4) - 4);
  const i32 = (): number => file.readInt32LE((at += 4) - 4);
  try {
    if (u32() !== magic || u32() !== version) throw unsupported("its state files are of another version");
    const tokens = Int32Array.from({ length: u32() }, i32);
    const streams = u32();
    let parsed: ParsedState | undefined;
    for (let stream = 0; stream < streams; stream++) {
      const count = u32();
      if (count === 0) continue;
      const positions = Array.from({ length: count }, () => {
        const position = i32();
        if (u32() !== 1) throw unsupported("a cell belongs to several sequences");
        i32();
        return position;
      });
      const isTransposed = u32() === 1;
      const layers = u32();
      const planes: KvPlane[] = [];
      const offsets: number[] = [];
      for (let plane = 0; plane < 2 * layers; plane++) {
        const type = i32();
        if (plane < layers || !isTransposed) {
          const rowBytes = Number(file.readBigUInt64LE((at += 8) - 8));
          planes.push({ type, rowBytes });
        } else {
          const elementBytes = u32();
          planes.push({ type, elementBytes, rowBytes: elementBytes * u32() });
        }
        offsets.push(at);
        at += planes[plane]!.rowBytes * count;
      }
      const cells = positions.map((_, cell) => cell).sort((a, b) => positions[a]! - positions[b]!);
      const tokenBytes = planes.reduce((sum, { rowBytes }) => sum + rowBytes, 0);
      parsed = { layout: { streams, layers, isTransposed, planes, tokenBytes }, tokens, cells, offsets };
    }
    if (parsed === undefined || at !== file.length || parsed.cells.length !== parsed.tokens.length) {
      throw unsupported("its state files have sections besides plain attention");
    }
    return parsed;
  } catch (error) {
    if (error instanceof RangeError) throw unsupported("its state files have another structure");
    throw error;
  }
}

function unsupported(why: string): EnginesError {
  return new EnginesError({
    code: "ENGINES_UNSUPPORTED",
    kind: "invalid",
    message: `The KV of this model cannot be cut into blocks: ${why}.`,
  });
}

/** The content of block `index`: for each plane its rows, or its columns' runs, of the block's tokens. */
export function extractBlock(file: Buffer, state: ParsedState, index: number, blockTokens: number): Buffer {
  const { layout, cells, offsets } = state;
  const block = Buffer.allocUnsafe(layout.tokenBytes * blockTokens);
  const first = index * blockTokens;
  const count = cells.length;
  // Cells follow positions unless the tail of a sequence was erased and written anew.
  const isRun = cells[first + blockTokens - 1]! - cells[first]! === blockTokens - 1;
  let at = 0;
  layout.planes.forEach(({ rowBytes, elementBytes }, plane) => {
    const from = offsets[plane]!;
    const unit = elementBytes ?? rowBytes;
    const units = rowBytes / unit;
    for (let column = 0; column < units; column++) {
      const start = from + column * count * unit;
      if (isRun) {
        file.copy(block, at, start + cells[first]! * unit, start + (cells[first]! + blockTokens) * unit);
        at += blockTokens * unit;
      } else {
        for (let token = 0; token < blockTokens; token++, at += unit) {
          const cell = start + cells[first + token]! * unit;
          file.copy(block, at, cell, cell + unit);
        }
      }
    }
  });
  return block;
}

/** A loadable state file out of the leading blocks of a prompt. */
export function buildState(
  layout: KvLayout,
  ids: ArrayLike<number>,
  blocks: readonly Uint8Array[],
  blockTokens: number,
): Buffer {
  const count = blocks.length * blockTokens;
  const { planes, streams } = layout;
  const planeHeaders = planes.reduce(
    (sum, { elementBytes }) => sum + (elementBytes === undefined ? 12 : 12),
    0,
  );
  const bytes =
    12 + 4 * count + 4 + 4 + 12 * count + 8 + planeHeaders + layout.tokenBytes * count + 4 * (streams - 1);
  const file = Buffer.allocUnsafe(bytes);
  let at = 0;
  const u32 = (value: number): void => {
    at = file.writeUInt32LE(value, at);
  };
  u32(magic);
  u32(version);
  u32(count);
  for (let i = 0; i < count; i++) u32(ids[i]!);
  u32(streams);
  u32(count);
  for (let position = 0; position < count; position++) {
    u32(position);
    u32(1);
    u32(0);
  }
  u32(layout.isTransposed ? 1 : 0);
  u32(layout.layers);
  let planeStart = 0;
  for (const { type, rowBytes, elementBytes } of planes) {
    at = file.writeInt32LE(type, at);
    if (elementBytes === undefined) at = file.writeBigUInt64LE(BigInt(rowBytes), at);
    else {
      u32(elementBytes);
      u32(rowBytes / elementBytes);
    }
    const unit = elementBytes ?? rowBytes;
    const run = unit * blockTokens;
    for (let column = 0; column < rowBytes / unit; column++) {
      const start = planeStart + column * run;
      for (const block of blocks) {
        file.set(block.subarray(start, start + run), at);
        at += run;
      }
    }
    planeStart += rowBytes * blockTokens;
  }
  file.fill(0, at);
  return file;
}
