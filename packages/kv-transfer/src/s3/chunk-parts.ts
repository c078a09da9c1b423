import type { RunBatch } from "../transport/transport.ts";

/** A stretch of a piece that lies in one chunk. */
export interface ChunkPart {
  readonly localRegion: number;
  readonly localOffset: number;
  /** Within the chunk. */
  readonly offset: number;
  readonly bytes: number;
}

/** The parts of a batch that lie in one chunk of one region, in the batch's order. */
export interface ChunkParts {
  readonly region: number;
  readonly chunk: number;
  readonly parts: ChunkPart[];
  /** First byte that is touched, and the one after the last. */
  low: number;
  high: number;
}

/** Sorts a batch by the chunks of its remote side. */
export function partsByChunk(batch: RunBatch, chunkBytesOf: (region: number) => number): ChunkParts[] {
  const chunks = new Map<string, ChunkParts>();
  let last: ChunkParts | undefined;
  for (let run = 0; run < batch.runs; run += 1) {
    const region = batch.remoteRegion[run] as number;
    const chunkBytes = chunkBytesOf(region);
    const bytes = batch.pieceBytes[run] as number;
    for (let k = 0; k < (batch.pieces[run] as number); k += 1) {
      const local = (batch.localOffset[run] as number) + k * (batch.localStride[run] as number);
      const remote = (batch.remoteOffset[run] as number) + k * (batch.remoteStride[run] as number);
      for (let done = 0; done < bytes;) {
        const chunk = Math.floor((remote + done) / chunkBytes);
        const offset = remote + done - chunk * chunkBytes;
        const take = Math.min(bytes - done, chunkBytes - offset);
        if (last?.region !== region || last.chunk !== chunk) {
          const name = `${region}/${chunk}`;
          last = chunks.get(name);
          if (last === undefined)
            chunks.set(name, (last = { region, chunk, parts: [], low: offset, high: offset + take }));
        }
        last.low = Math.min(last.low, offset);
        last.high = Math.max(last.high, offset + take);
        last.parts.push({
          localRegion: batch.localRegion[run] as number,
          localOffset: local + done,
          offset,
          bytes: take,
        });
        done += take;
      }
    }
  }
  return [...chunks.values()];
}

/** Whether the parts cover the chunk from its first byte to its last. */
export function isWhole({ parts, low, high }: ChunkParts, chunkBytes: number): boolean {
  if (low > 0 || high < chunkBytes) return false;
  let end = 0;
  for (const { offset, bytes } of parts.toSorted((a, b) => a.offset - b.offset)) {
    if (offset > end) return false;
    end = Math.max(end, offset + bytes);
  }
  return end === chunkBytes;
}
