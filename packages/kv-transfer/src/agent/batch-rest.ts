import type { RunBatch } from "../transport/transport.ts";

type Columns = Omit<RunBatch, "runs" | "totalBytes" | "totalPieces" | "prepared">;
type Mutable<T> = { -readonly [K in keyof T]: T[K] };

function withTotals(columns: Columns, runs: number): RunBatch {
  let totalBytes = 0;
  let totalPieces = 0;
  for (let run = 0; run < runs; run += 1) {
    totalBytes += (columns.pieceBytes[run] as number) * (columns.pieces[run] as number);
    totalPieces += columns.pieces[run] as number;
  }
  return { ...columns, runs, totalBytes, totalPieces };
}

/**
 * What is left of a batch whose first `doneBytes` bytes, in the order of its pieces, have arrived. A piece that came in part goes again as a whole, and
 * the last piece always does: whoever carries the rest also looks at the epochs for all of it.
 */
export function restOf(batch: RunBatch, doneBytes: number): RunBatch {
  let run = 0;
  let done = doneBytes;
  for (; run < batch.runs - 1; run += 1) {
    const bytes = (batch.pieceBytes[run] as number) * (batch.pieces[run] as number);
    if (done < bytes) break;
    done -= bytes;
  }
  const skip = Math.min(
    Math.floor(done / (batch.pieceBytes[run] as number)),
    (batch.pieces[run] as number) - 1,
  );
  if (run === 0 && skip === 0) return batch;
  const columns: Mutable<Columns> = {
    localRegion: batch.localRegion.slice(run, batch.runs),
    localOffset: batch.localOffset.slice(run, batch.runs),
    localStride: batch.localStride.slice(run, batch.runs),
    remoteRegion: batch.remoteRegion.slice(run, batch.runs),
    remoteOffset: batch.remoteOffset.slice(run, batch.runs),
    remoteStride: batch.remoteStride.slice(run, batch.runs),
    pieceBytes: batch.pieceBytes.slice(run, batch.runs),
    pieces: batch.pieces.slice(run, batch.runs),
  };
  columns.localOffset[0] = (columns.localOffset[0] as number) + skip * (columns.localStride[0] as number);
  columns.remoteOffset[0] = (columns.remoteOffset[0] as number) + skip * (columns.remoteStride[0] as number);
  columns.pieces[0] = (columns.pieces[0] as number) - skip;
  return withTotals(columns, batch.runs - run);
}

/** Batches one after the other. */
export function joinBatches(batches: readonly RunBatch[]): RunBatch {
  const [only] = batches;
  if (only !== undefined && batches.length === 1) return only;
  const runs = batches.reduce((sum, batch) => sum + batch.runs, 0);
  const columns: Columns = {
    localRegion: new Uint32Array(runs),
    localOffset: new Float64Array(runs),
    localStride: new Float64Array(runs),
    remoteRegion: new Uint32Array(runs),
    remoteOffset: new Float64Array(runs),
    remoteStride: new Float64Array(runs),
    pieceBytes: new Float64Array(runs),
    pieces: new Uint32Array(runs),
  };
  let at = 0;
  for (const batch of batches) {
    for (const name of Object.keys(columns) as (keyof Columns)[])
      columns[name].set(batch[name].subarray(0, batch.runs), at);
    at += batch.runs;
  }
  return withTotals(columns, runs);
}
