import type { RegionMemory, RunBatch } from "./transport.ts";

type Side = "local" | "remote";
type ResolveRegion = (id: number) => RegionMemory;

/** Takes the bytes of one side as a stream of chunks of at most `chunkBytes`; small pieces are put together. */
export function* gatherChunks(
  batch: RunBatch,
  side: Side,
  resolve: ResolveRegion,
  chunkBytes: number,
): Generator<Uint8Array[]> {
  // Below this a copy is cheaper than one more entry in the kernel's vector.
  const smallBytes = 16_384;
  let parts: Uint8Array[] = [];
  let filled = 0;
  let stage: Uint8Array | undefined;
  let staged = 0;
  const closeStage = (): void => {
    if (stage !== undefined && staged > 0) parts.push(stage.subarray(0, staged));
    stage = undefined;
    staged = 0;
  };
  const regions = side === "local" ? batch.localRegion : batch.remoteRegion;
  const offsets = side === "local" ? batch.localOffset : batch.remoteOffset;
  const strides = side === "local" ? batch.localStride : batch.remoteStride;
  for (let run = 0; run < batch.runs; run += 1) {
    const region = resolve(regions[run] as number);
    const bytes = batch.pieceBytes[run] as number;
    for (let k = 0; k < (batch.pieces[run] as number); k += 1) {
      const start = (offsets[run] as number) + k * (strides[run] as number);
      for (let done = 0; done < bytes;) {
        const take = Math.min(bytes - done, chunkBytes - filled);
        const bytesHere = region.gather(start + done, take);
        if (take <= smallBytes) {
          if (stage !== undefined && staged + take > stage.length) closeStage();
          stage ??= new Uint8Array(Math.min(chunkBytes, 262_144));
          stage.set(bytesHere, staged);
          staged += take;
        } else {
          closeStage();
          parts.push(bytesHere);
        }
        done += take;
        filled += take;
        if (filled === chunkBytes) {
          closeStage();
          yield parts;
          parts = [];
          filled = 0;
        }
      }
    }
  }
  closeStage();
  if (parts.length > 0) yield parts;
}

/** Puts a stream of bytes into one side of a batch, in piece order. */
export function createScatter(
  batch: RunBatch,
  side: Side,
  resolve: ResolveRegion,
): { readonly left: number; put(chunk: Uint8Array): void } {
  const regions = side === "local" ? batch.localRegion : batch.remoteRegion;
  const offsets = side === "local" ? batch.localOffset : batch.remoteOffset;
  const strides = side === "local" ? batch.localStride : batch.remoteStride;
  let run = 0;
  let piece = 0;
  let done = 0;
  let left = batch.totalBytes;
  return {
    get left() {
      return left;
    },
    put(chunk) {
      for (let at = 0; at < chunk.length;) {
        const bytes = batch.pieceBytes[run] as number;
        const take = Math.min(bytes - done, chunk.length - at);
        resolve(regions[run] as number).scatter(
          (offsets[run] as number) + piece * (strides[run] as number) + done,
          take === chunk.length ? chunk : chunk.subarray(at, at + take),
        );
        at += take;
        done += take;
        left -= take;
        if (done === bytes) {
          done = 0;
          piece += 1;
          if (piece === batch.pieces[run]) {
            piece = 0;
            run += 1;
          }
        }
      }
    },
  };
}
