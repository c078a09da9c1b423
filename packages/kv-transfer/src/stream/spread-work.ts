import { joinBatches } from "../agent/batch-rest.ts";
import type { RunBatch, Work } from "../transport/transport.ts";

/** Above this a batch is cut in parts that travel on several connections. */
const splitBytes = 8 * 1024 * 1024;

/** Cuts large works into one part per connection and settles the whole when all parts have ended. */
export function spreadWork(ways: number): {
  post(work: Work, postPart: (part: Work, index: number) => void): void;
  /** What a work was cut into; itself where it was not. */
  parts(work: Work): readonly Work[];
} {
  const running = new Map<Work, readonly Work[]>();
  return {
    parts: (work) => running.get(work) ?? [work],
    post(work, postPart) {
      if (ways === 1 || work.batch.totalBytes < splitBytes || work.batch.runs < 2) return postPart(work, 0);
      const batches = splitRuns(work.batch, ways);
      let left = batches.length;
      let failure: Parameters<Work["settle"]>[0];
      const missing: RunBatch[] = [];
      const pieces = batches.map((batch): Work => ({
        operation: work.operation,
        batch,
        epochs: work.epochs,
        settle(error, rest = batch) {
          failure ??= error;
          if (error !== undefined) missing.push(rest);
          left -= 1;
          if (left > 0) return;
          running.delete(work);
          work.settle(failure, failure === undefined ? undefined : joinBatches(missing));
        },
      }));
      running.set(work, pieces);
      pieces.forEach(postPart);
    },
  };
}

function splitRuns(batch: RunBatch, ways: number): RunBatch[] {
  const out: RunBatch[] = [];
  const target = batch.totalBytes / ways;
  let start = 0;
  let bytes = 0;
  let pieces = 0;
  for (let run = 0; run < batch.runs; run += 1) {
    bytes += (batch.pieceBytes[run] as number) * (batch.pieces[run] as number);
    pieces += batch.pieces[run] as number;
    const isLast = run === batch.runs - 1;
    if (!isLast && (bytes < target || out.length === ways - 1)) continue;
    const end = run + 1;
    out.push({
      runs: end - start,
      localRegion: batch.localRegion.subarray(start, end),
      localOffset: batch.localOffset.subarray(start, end),
      localStride: batch.localStride.subarray(start, end),
      remoteRegion: batch.remoteRegion.subarray(start, end),
      remoteOffset: batch.remoteOffset.subarray(start, end),
      remoteStride: batch.remoteStride.subarray(start, end),
      pieceBytes: batch.pieceBytes.subarray(start, end),
      pieces: batch.pieces.subarray(start, end),
      totalBytes: bytes,
      totalPieces: pieces,
    });
    start = end;
    bytes = 0;
    pieces = 0;
  }
  return out;
}
