import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { asTransferError, transferError } from "../transfer-error.ts";
import type { Link, RemoteAgent, RunBatch, TransportHost, Work } from "../transport/transport.ts";
import { rewrapSocket } from "./rewrap-socket.ts";
import { createStreamLink, type StreamLink } from "./stream-link.ts";

/** Above this a batch is cut in parts that travel on several connections. */
const splitBytes = 8 * 1024 * 1024;

export interface StreamAcceptor {
  /** Serves a connection. A plain socket (accepted with `pauseOnConnect`) is read through one reused buffer. */
  accept(stream: Duplex | Socket, isPlain?: boolean): void;
  readonly links: ReadonlySet<StreamLink>;
  closeAll(): void;
}

/** Serves accepted connections until they end. */
export function createStreamAcceptor(transport: string, host: TransportHost): StreamAcceptor {
  const links = new Set<StreamLink>();
  return {
    links,
    accept(accepted, isPlain = false) {
      let feed: ((chunk: Uint8Array) => void) | undefined = undefined;
      const rewrapped = isPlain ? rewrapSocket(accepted as Socket, (chunk) => feed?.(chunk)) : undefined;
      const link = createStreamLink({
        transport,
        host,
        stream: rewrapped ?? accepted,
        isFed: rewrapped !== undefined,
        onClose: () => links.delete(link),
      });
      feed = link.feed;
      links.add(link);
      if (isPlain) (rewrapped ?? accepted).resume();
    },
    closeAll() {
      for (const link of links) void link.close();
    },
  };
}

/** A dialled stream. With `isFed` its bytes went and go to `onChunk` out of one reused buffer, which halves the receiver's work. */
interface Dialed {
  readonly stream: Duplex;
  readonly isFed: boolean;
}

export type Dial = (signal: AbortSignal, onChunk: (chunk: Uint8Array) => void) => Promise<Dialed>;

/** Dials `connections` streams to a peer and joins them to one link: notifications on the first, large batches spread over all. */
export async function connectStreams(
  transport: string,
  host: TransportHost,
  peer: RemoteAgent,
  connections: number,
  dial: Dial,
  signal: AbortSignal,
): Promise<Link> {
  const streams: StreamLink[] = [];
  const shutAll = (error: ReturnType<typeof asTransferError>): void => {
    for (const link of streams) link.destroy(error);
  };
  try {
    for (let i = 0; i < connections; i += 1) {
      const early: Uint8Array[] = [];
      let feed = (chunk: Uint8Array): void => {
        early.push(Uint8Array.from(chunk));
      };
      const { stream, isFed } = await dial(signal, (chunk) => feed(chunk));
      const link = createStreamLink({
        isFed,
        transport,
        host,
        stream,
        dialed: peer,
        // One cut stream ends the link: a half-connected peer would only hide the failure.
        onClose: () =>
          shutAll(
            transferError("TRANSFER_TRANSPORT_FAILED", `A ${transport} connection to ${peer.name} ended.`, {
              peer: peer.name,
              transport,
            }),
          ),
      });
      streams.push(link);
      for (const chunk of early) link.feed(chunk);
      feed = link.feed;
      const abort = (): void =>
        link.destroy(
          transferError(
            "TRANSFER_DEADLINE",
            `Peer ${peer.name} accepted a ${transport} connection but did not answer in time.`,
            { peer: peer.name },
          ),
        );
      signal.addEventListener("abort", abort, { once: true });
      if (signal.aborted) abort();
      try {
        await link.ready;
      } finally {
        signal.removeEventListener("abort", abort);
      }
    }
  } catch (error) {
    shutAll(asTransferError(error, transport));
    throw asTransferError(error, transport);
  }
  const first = streams[0] as StreamLink;
  const parts = new Map<Work, Work[]>();
  const least = (): StreamLink => streams.reduce((best, link) => (link.pending < best.pending ? link : best));
  return {
    get isOpen() {
      return streams.every((link) => link.isOpen);
    },
    post(work) {
      if (streams.length === 1 || work.batch.totalBytes < splitBytes || work.batch.runs < 2) {
        least().post(work);
        return;
      }
      const batches = splitRuns(work.batch, streams.length);
      let left = batches.length;
      let failure: Parameters<Work["settle"]>[0];
      const pieces = batches.map((batch): Work => ({
        operation: work.operation,
        batch,
        epochs: work.epochs,
        settle(error) {
          failure ??= error;
          left -= 1;
          if (left > 0) return;
          parts.delete(work);
          work.settle(failure);
        },
      }));
      parts.set(work, pieces);
      pieces.forEach((piece, i) => streams[i % streams.length]?.post(piece));
    },
    cancel(work) {
      for (const piece of parts.get(work) ?? [work]) for (const link of streams) link.cancel(piece);
    },
    notify: (message) => first.notify?.(message) ?? Promise.resolve(),
    async close() {
      await Promise.all(streams.map((link) => link.close()));
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
