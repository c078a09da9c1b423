import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { asTransferError, type TransferError, transferError } from "../transfer-error.ts";
import type { Link, RemoteAgent, TransportHost } from "../transport/transport.ts";
import { rewrapSocket } from "./rewrap-socket.ts";
import { spreadWork } from "./spread-work.ts";
import { createStreamLink, type StreamLink } from "./stream-link.ts";

export interface StreamAcceptor {
  /** Serves a connection. A plain socket (accepted with `pauseOnConnect`) is read through one reused buffer. */
  accept(stream: Duplex | Socket, isPlain?: boolean): void;
  readonly links: ReadonlySet<StreamLink>;
  closeAll(): void;
}

/** Serves accepted connections until they end. */
export function createStreamAcceptor(
  transport: string,
  host: TransportHost,
  goNative?: (fd: number, greeting: Uint8Array | undefined) => void,
): StreamAcceptor {
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
        goNative: isPlain ? goNative : undefined,
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

/** Several streams to one peer as one link. */
export interface StreamsLink extends Link {
  /** Ends it as a failure, not as a wish. */
  destroy(error: TransferError): void;
  /** Called once, when it has ended for whatever reason. */
  onEnd(listener: () => void): void;
}

export interface OpenStreamOptions {
  readonly transport: string;
  readonly host: TransportHost;
  readonly peer: RemoteAgent;
  readonly dial: Dial;
  readonly signal: AbortSignal;
  readonly goNative?: (fd: number) => void;
  readonly onClose: () => void;
}

/** Dials one stream and waits until both ends have proved who they are. */
export async function openStream(options: OpenStreamOptions): Promise<StreamLink> {
  const { transport, peer, signal } = options;
  const early: Uint8Array[] = [];
  let feed = (chunk: Uint8Array): void => {
    early.push(Uint8Array.from(chunk));
  };
  const { stream, isFed } = await options.dial(signal, (chunk) => feed(chunk));
  const link = createStreamLink({
    isFed,
    transport,
    host: options.host,
    stream,
    dialed: peer,
    goNative: options.goNative,
    onClose: options.onClose,
  });
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
  return link;
}

/** Dials `connections` streams to a peer and joins them to one link: notifications on the first, large batches spread over all. */
export async function connectStreams(
  transport: string,
  host: TransportHost,
  peer: RemoteAgent,
  connections: number,
  dial: Dial,
  signal: AbortSignal,
): Promise<StreamsLink> {
  const streams: StreamLink[] = [];
  const endListeners: (() => void)[] = [];
  const shutAll = (error: TransferError): void => {
    for (const link of streams) link.destroy(error);
  };
  // One cut stream ends the link: a half-connected peer would only hide the failure.
  let isOpen = true;
  const onClose = (): void => {
    isOpen = false;
    shutAll(
      transferError("TRANSFER_TRANSPORT_FAILED", `A ${transport} connection to ${peer.name} ended.`, {
        peer: peer.name,
        transport,
      }),
    );
    for (const listener of endListeners.splice(0)) listener();
  };
  try {
    for (let i = 0; i < connections; i += 1)
      streams.push(await openStream({ transport, host, peer, dial, signal, onClose }));
  } catch (error) {
    shutAll(asTransferError(error, transport));
    throw asTransferError(error, transport);
  }
  const first = streams[0] as StreamLink;
  const spread = spreadWork(streams.length);
  const least = (): StreamLink => streams.reduce((best, link) => (link.pending < best.pending ? link : best));
  return {
    get isOpen() {
      return isOpen;
    },
    post: (work) =>
      spread.post(work, (part, i) => (part === work ? least() : streams[i % streams.length])?.post(part)),
    cancel(work) {
      for (const part of spread.parts(work)) for (const link of streams) link.cancel(part);
    },
    notify: (message) => first.notify?.(message) ?? Promise.resolve(),
    destroy: shutAll,
    onEnd: (listener) => endListeners.push(listener),
    async close() {
      await Promise.all(streams.map((link) => link.close()));
    },
  };
}
