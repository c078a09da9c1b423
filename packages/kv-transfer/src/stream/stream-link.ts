// Longer than most: one connection has both ends of every exchange, and they share its state.
import type { Duplex } from "node:stream";
import { restOf } from "../agent/batch-rest.ts";
import { createByteReader, createByteWriter } from "../byte-codec.ts";
import { asTransferError, type TransferError, transferError, transferErrorCodes } from "../transfer-error.ts";
import { liveRegion } from "../transport/check-regions.ts";
import { createScatter, gatherChunks } from "../transport/piece-walk.ts";
import type {
  Link,
  RegionMemory,
  RemoteAgent,
  TransportHost,
  Work,
  WireNotification,
} from "../transport/transport.ts";
import { encodeBatch } from "./batch-codec.ts";
import { chunkBytes, createFrameParser, type FrameHeader, frameHeader, frameType } from "./frame.ts";
import { createHandshake, handshakeHeadLimit } from "./handshake.ts";
import { createServedRequests } from "./served-requests.ts";

const requestHeadLimit = 64 * 1024 * 1024;
/** Bytes handed to the socket but not yet to the kernel, per connection. */
const inFlightLimit = 4 * 1024 * 1024;
/** Notifications sent but not acknowledged: senders wait beyond it. */
const notifyWindow = 1024;

export interface StreamLinkOptions {
  readonly transport: string;
  readonly host: TransportHost;
  readonly stream: Duplex;
  /** The peer this side dialled; absent on the accepting side. */
  readonly dialed?: RemoteAgent;
  readonly onClose: () => void;
  /** Bytes come through `feed`, not as the stream's `data`. */
  readonly isFed?: boolean;
  /** Takes the connection out of Node's hands once both sides have agreed. `greeting` goes first. */
  readonly goNative?: ((fd: number, greeting: Uint8Array | undefined) => void) | undefined;
}

export interface StreamLink extends Link {
  /** Resolves when both sides have proved who they are. */
  readonly ready: Promise<void>;
  readonly pending: number;
  /** Takes received bytes; they are used up when it returns. */
  feed(chunk: Uint8Array): void;
  destroy(error: TransferError): void;
}

interface Outbound {
  readonly work: Work;
  readonly scatter: ReturnType<typeof createScatter> | undefined;
  isStopped: boolean;
}

const codeByte = (error: TransferError): number => transferErrorCodes.indexOf(error.code) + 1;

/**
 * One connection of the stream protocol over any duplex stream, both ends alike: it serves the peer's reads and writes on this agent's
 * regions (checked here, before a byte moves) and carries this agent's own.
 */
export function createStreamLink(options: StreamLinkOptions): StreamLink {
  const { host, stream, dialed, transport } = options;
  const outbound = new Map<number, Outbound>();
  const unacknowledged = new Map<number, { resolve: () => void; reject: (error: TransferError) => void }>();
  const roomWaits: (() => void)[] = [];
  let peer: { readonly name: string; readonly incarnation: string } | undefined =
    dialed === undefined ? undefined : { name: dialed.name, incarnation: dialed.incarnation };
  let isReady = false;
  let isOpen = true;
  let isClosing = false;
  let nextRequest = 1;
  let inFlight = 0;
  const drainWaits: (() => void)[] = [];
  let settleReady: { resolve: () => void; reject: (error: TransferError) => void } | undefined;
  const ready = new Promise<void>((resolve, reject) => {
    settleReady = { resolve, reject };
  });
  // Whoever dials awaits `ready`; an accepting side has nobody to tell.
  ready.catch(() => undefined);

  const send = (
    type: number,
    status: number,
    request: number,
    head?: Uint8Array,
    body?: readonly Uint8Array[],
  ): void => {
    if (!isOpen) return;
    const bodyBytes = body?.reduce((sum, part) => sum + part.length, 0) ?? 0;
    inFlight += bodyBytes;
    stream.cork();
    stream.write(frameHeader(type, status, request, head?.length ?? 0, bodyBytes));
    if (head !== undefined && head.length > 0) stream.write(head);
    if (body !== undefined)
      for (const part of body)
        stream.write(part, () => {
          inFlight -= part.length;
          if (inFlight < inFlightLimit) for (const wake of drainWaits.splice(0)) wake();
        });
    stream.uncork();
  };
  const drained = async (limit: number): Promise<void> => {
    while (isOpen && inFlight > limit) await new Promise<void>((resolve) => drainWaits.push(resolve));
  };
  const flushed = (): Promise<void> =>
    new Promise((resolve) => {
      if (!isOpen || inFlight === 0) resolve();
      else stream.write(new Uint8Array(0), () => resolve());
    });
  const sendEnd = (request: number, error: TransferError | undefined): void => {
    const head = error === undefined ? undefined : createByteWriter().text(error.message).finish();
    send(frameType.end, error === undefined ? 0 : codeByte(error), request, head);
  };

  const shut = (error: TransferError): void => {
    if (!isOpen) return;
    isOpen = false;
    stream.destroy();
    settleReady?.reject(error);
    for (const { work, scatter } of [...outbound.values()])
      // A read's bytes come in order. What was written counts only once the target has said so.
      work.settle(error, scatter && restOf(work.batch, work.batch.totalBytes - scatter.left));
    outbound.clear();
    served.clear();
    for (const wait of unacknowledged.values()) wait.reject(error);
    unacknowledged.clear();
    for (const wake of roomWaits.splice(0)) wake();
    for (const wake of drainWaits.splice(0)) wake();
    options.onClose();
    if (isReady && !isClosing && dialed !== undefined) host.linkLost(dialed, transport, error);
  };
  const fd = (stream as { readonly _handle?: { readonly fd?: number } | null })._handle?.fd ?? -1;
  const goNative = fd >= 0 ? options.goNative : undefined;
  const handshake = createHandshake({
    transport,
    host,
    dialed,
    canGoNative: goNative !== undefined,
    send: (type, status, head) => send(type, status, 0, head),
    onFailed(error, isRefused) {
      if (!isRefused) return shut(error);
      send(frameType.refused, codeByte(error), 0, createByteWriter().text(error.message).finish());
      stream.end(() => shut(error));
    },
    onDone({ peer: proved, isNative, welcome }) {
      peer = proved;
      if (isNative && goNative !== undefined) {
        // The peer sends nothing more before it has our greeting: no byte is lost between the two readers.
        isOpen = false;
        goNative(
          fd,
          welcome === undefined
            ? undefined
            : Buffer.concat([frameHeader(frameType.welcome, 0, 0, welcome.length, 0), welcome]),
        );
        stream.destroy();
        settleReady?.resolve();
        options.onClose();
        return;
      }
      isReady = true;
      if (welcome !== undefined) send(frameType.welcome, 0, 0, welcome);
      settleReady?.resolve();
    },
  });
  const served = createServedRequests({
    transport,
    host,
    peerName: () => peer?.name,
    sendData: (request, parts) => send(frameType.data, 0, request, undefined, parts),
    sendEnd,
    room: () => drained(inFlightLimit - 1),
    flushed,
    isOpen: () => isOpen,
  });
  // Requests of the dialling side are odd, of the accepting side even: DATA of a read and of a write never share a number.
  const isOwn = (request: number): boolean => (request % 2 === 1) === (dialed !== undefined);
  const onData = (header: FrameHeader, chunk: Uint8Array): void => {
    if (isOwn(header.request)) {
      const entry = outbound.get(header.request);
      if (entry === undefined || entry.isStopped || entry.scatter === undefined) return;
      if (chunk.length > entry.scatter.left)
        return shut(
          transferError("TRANSFER_TRANSPORT_FAILED", "The peer sent more bytes than were asked for."),
        );
      entry.scatter.put(chunk);
      return;
    }
    served.data(header.request, chunk);
  };
  const onEnd = (header: FrameHeader, head: Uint8Array): void => {
    const entry = outbound.get(header.request);
    if (entry === undefined) return;
    outbound.delete(header.request);
    entry.isStopped = true;
    if (header.status === 0) {
      if (entry.scatter !== undefined && entry.scatter.left > 0)
        entry.work.settle(
          transferError("TRANSFER_TRANSPORT_FAILED", `The peer ended ${entry.scatter.left} bytes early.`),
        );
      else entry.work.settle(undefined);
      return;
    }
    const code = transferErrorCodes[header.status - 1] ?? "TRANSFER_TRANSPORT_FAILED";
    entry.work.settle(
      transferError(code, createByteReader(head, "Reply").text(65_536), { peer: peer?.name, transport }),
    );
  };
  const onNotify = (header: FrameHeader, head: Uint8Array): void => {
    const reader = createByteReader(head, "Notification");
    const kind = reader.u8() === 1 ? "lease" : "user";
    const message: WireNotification = {
      kind,
      sequence: reader.offset(),
      follows: reader.offset(),
      tag: reader.text(4096),
      payload: reader.bytes(requestHeadLimit),
    };
    if (peer === undefined) return;
    void host.deliver(peer, message).then(() => send(frameType.ack, 0, header.request));
  };
  const parser = createFrameParser(() => (isReady ? requestHeadLimit : handshakeHeadLimit), {
    onFrame(header, head) {
      if (!isReady) handshake.take(header, head);
      else if (header.type === frameType.read || header.type === frameType.write)
        served.take(header.request, header.type === frameType.read, head);
      else if (header.type === frameType.end) onEnd(header, head);
      else if (header.type === frameType.notify) onNotify(header, head);
      else if (header.type === frameType.ack) {
        unacknowledged.get(header.request)?.resolve();
        unacknowledged.delete(header.request);
        roomWaits.shift()?.();
      } else if (header.type === frameType.cancel) served.cancel(header.request);
    },
    onBody: onData,
  });
  const feed = (chunk: Uint8Array): void => {
    if (!isOpen) return;
    try {
      parser.push(chunk);
    } catch (error) {
      shut(asTransferError(error, transport));
    }
  };
  if (options.isFed !== true) stream.on("data", feed);
  const lost = (error?: Error): void =>
    shut(
      transferError(
        "TRANSFER_TRANSPORT_FAILED",
        `The ${transport} connection to ${peer?.name ?? "a peer"} ended${error === undefined ? "" : `: ${error.message}`}.`,
        { peer: peer?.name, transport },
        error,
      ),
    );
  stream.on("error", lost);
  stream.on("close", () => lost());
  handshake.start();

  const sendWrite = async (
    request: number,
    entry: Outbound,
    local: (id: number) => RegionMemory,
  ): Promise<void> => {
    try {
      for (const parts of gatherChunks(entry.work.batch, "local", local, chunkBytes)) {
        await drained(inFlightLimit - 1);
        if (entry.isStopped || !isOpen) return;
        send(frameType.data, 0, request, undefined, parts);
      }
    } catch (error) {
      outbound.delete(request);
      send(frameType.cancel, 0, request);
      entry.work.settle(asTransferError(error, transport));
    }
  };
  const localRegion = (id: number): RegionMemory => liveRegion(host, id);
  return {
    ready,
    get isOpen() {
      return isOpen;
    },
    get pending() {
      return outbound.size;
    },
    post(work) {
      if (!isOpen || dialed === undefined) {
        work.settle(
          transferError("TRANSFER_TRANSPORT_FAILED", `The ${transport} connection is closed.`, { transport }),
        );
        return;
      }
      const request = nextRequest;
      nextRequest = (nextRequest + 2) % 0xffff_fffe;
      try {
        const isRead = work.operation === "read";
        const head = encodeBatch(dialed, work.batch, work.epochs);
        const entry: Outbound = {
          work,
          scatter: isRead ? createScatter(work.batch, "local", localRegion) : undefined,
          isStopped: false,
        };
        outbound.set(request, entry);
        send(isRead ? frameType.read : frameType.write, 0, request, head);
        if (!isRead) void sendWrite(request, entry, localRegion);
      } catch (error) {
        outbound.delete(request);
        work.settle(asTransferError(error, transport));
      }
    },
    cancel(work) {
      for (const [request, entry] of outbound) {
        if (entry.work !== work) continue;
        entry.isStopped = true;
        send(frameType.cancel, 0, request);
        // A read only touches memory here, and from now on its bytes are dropped. A write ends when the target says so.
        if (entry.scatter === undefined) return;
        outbound.delete(request);
        work.settle(transferError("TRANSFER_CANCELLED", "The transfer was cancelled."));
        return;
      }
    },
    async notify(message) {
      while (isOpen && unacknowledged.size >= notifyWindow)
        await new Promise<void>((resolve) => roomWaits.push(resolve));
      if (!isOpen)
        throw transferError("TRANSFER_TRANSPORT_FAILED", `The ${transport} connection is closed.`, {
          transport,
        });
      const request = nextRequest;
      nextRequest = (nextRequest + 2) % 0xffff_fffe;
      const head = createByteWriter(64 + message.payload.length)
        .u8(message.kind === "lease" ? 1 : 0)
        .offset(message.sequence)
        .offset(message.follows)
        .text(message.tag)
        .bytes(message.payload)
        .finish();
      const acknowledged = new Promise<void>((resolve, reject) =>
        unacknowledged.set(request, { resolve, reject }),
      );
      send(frameType.notify, 0, request, head);
      await acknowledged;
    },
    close() {
      isClosing = true;
      if (isOpen) stream.end();
      shut(transferError("TRANSFER_CLOSED", `The ${transport} connection was closed.`, { transport }));
      return Promise.resolve();
    },
    feed,
    destroy: shut,
  };
}
