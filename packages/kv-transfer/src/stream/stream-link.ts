// Longer than most: one connection is one state machine, both of its directions share the request table.
import { createHmac, randomBytes, timingSafeEqual } from "node:crypto";
import type { Duplex } from "node:stream";
import { createByteReader, createByteWriter } from "../byte-codec.ts";
import { asTransferError, type TransferError, transferError, transferErrorCodes } from "../transfer-error.ts";
import { createScatter, gatherChunks } from "../transport/piece-walk.ts";
import type {
  Link,
  RegionMemory,
  RemoteAgent,
  TransportHost,
  Work,
  WireNotification,
} from "../transport/transport.ts";
import { admitBatch, type AdmittedBatch, encodeBatch } from "./batch-codec.ts";
import { chunkBytes, createFrameParser, type FrameHeader, frameHeader, frameType } from "./frame.ts";

const protocolVersion = 1;
/** Before the handshake is done, a stranger can make us keep no more than this. */
const handshakeHeadLimit = 4096;
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

interface Inbound {
  readonly admitted: AdmittedBatch;
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
  const inbound = new Map<number, Inbound>();
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
  const nonce = randomBytes(16);
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
    for (const entry of [...outbound.values()]) entry.work.settle(error);
    outbound.clear();
    for (const entry of inbound.values()) entry.isStopped = true;
    inbound.clear();
    for (const wait of unacknowledged.values()) wait.reject(error);
    unacknowledged.clear();
    for (const wake of roomWaits.splice(0)) wake();
    for (const wake of drainWaits.splice(0)) wake();
    options.onClose();
    if (isReady && !isClosing && dialed !== undefined) host.linkLost(dialed, transport, error);
  };
  const proof = (role: string, ...parts: Uint8Array[]): Uint8Array => {
    if (host.secret === undefined) return new Uint8Array(0);
    const hmac = createHmac("sha256", host.secret).update(`stator-transfer-${role}`);
    for (const part of parts) hmac.update(part);
    return hmac.digest();
  };
  const isProof = (given: Uint8Array, expected: Uint8Array): boolean =>
    given.length === expected.length && timingSafeEqual(given, expected);

  const onHandshake = (header: FrameHeader, head: Uint8Array): void => {
    const reader = createByteReader(head, "Handshake");
    if (header.type === frameType.refused) {
      const code = transferErrorCodes[header.status - 1] ?? "TRANSFER_TRANSPORT_FAILED";
      return shut(transferError(code, reader.text(handshakeHeadLimit), { peer: peer?.name }));
    }
    if (header.type === frameType.challenge && dialed !== undefined) {
      const version = reader.u8();
      const theirs = reader.raw(16);
      const incarnation = reader.text(64);
      if (version !== protocolVersion)
        return shut(
          transferError(
            "TRANSFER_INCOMPATIBLE",
            `Peer ${dialed.name} speaks stream protocol ${version}, this build ${protocolVersion}.`,
          ),
        );
      if (incarnation !== dialed.incarnation)
        return shut(
          transferError(
            "TRANSFER_PEER_LOST",
            `Peer ${dialed.name} was restarted since its metadata was made: fetch it again.`,
            { peer: dialed.name },
          ),
        );
      send(
        frameType.hello,
        0,
        0,
        createByteWriter()
          .text(host.name)
          .text(host.incarnation)
          .text(incarnation)
          .raw(nonce)
          .bytes(proof("dial", theirs, nonce))
          .finish(),
      );
      welcomeProof = proof("accept", nonce, theirs);
      return;
    }
    if (header.type === frameType.welcome && dialed !== undefined) {
      if (!isProof(reader.bytes(64), welcomeProof))
        return shut(
          transferError("TRANSFER_UNAUTHORIZED", `Peer ${dialed.name} does not know the shared secret.`),
        );
      isReady = true;
      settleReady?.resolve();
      return;
    }
    if (header.type === frameType.hello && dialed === undefined) {
      const name = reader.text(1024);
      const incarnation = reader.text(64);
      const expected = reader.text(64);
      const theirs = reader.raw(16);
      const refuse = (error: TransferError): void => {
        send(frameType.refused, codeByte(error), 0, createByteWriter().text(error.message).finish());
        stream.end(() => shut(error));
      };
      if (!isProof(reader.bytes(64), proof("dial", nonce, theirs)))
        return refuse(
          transferError(
            "TRANSFER_UNAUTHORIZED",
            `Agent ${host.name} refused ${name}: the shared secret is missing or wrong.`,
          ),
        );
      if (expected !== host.incarnation)
        return refuse(
          transferError("TRANSFER_PEER_LOST", `Agent ${host.name} was restarted: fetch its metadata again.`),
        );
      peer = { name, incarnation };
      isReady = true;
      send(
        frameType.welcome,
        0,
        0,
        createByteWriter()
          .bytes(proof("accept", theirs, nonce))
          .finish(),
      );
      settleReady?.resolve();
      return;
    }
    shut(transferError("TRANSFER_METADATA_INVALID", "The peer sent frames before the handshake was done."));
  };
  let welcomeProof: Uint8Array = new Uint8Array(0);

  const serveRead = async (request: number, entry: Inbound): Promise<void> => {
    const { admitted } = entry;
    try {
      for (const parts of gatherChunks(admitted.batch, "remote", admitted.resolve, chunkBytes)) {
        await drained(inFlightLimit - 1);
        if (entry.isStopped || !isOpen) break;
        send(frameType.data, 0, request, undefined, parts);
      }
      // What the kernel has not taken yet may still change under us: the epochs are read after it has.
      await flushed();
      if (entry.isStopped) throw transferError("TRANSFER_CANCELLED", "The reader cancelled.");
      admitted.recheck();
      sendEnd(request, undefined);
    } catch (error) {
      sendEnd(request, asTransferError(error, transport));
    } finally {
      inbound.delete(request);
    }
  };
  const onRequest = (header: FrameHeader, head: Uint8Array): void => {
    const isRead = header.type === frameType.read;
    try {
      const admitted = admitBatch(head, host.admit);
      const entry: Inbound = {
        admitted,
        scatter: isRead ? undefined : createScatter(admitted.batch, "remote", admitted.resolve),
        isStopped: false,
      };
      inbound.set(header.request, entry);
      if (isRead) void serveRead(header.request, entry);
    } catch (error) {
      const refused = asTransferError(error, transport);
      host.logger.warn("refused a peer's transfer", {
        peer: peer?.name,
        transport,
        code: refused.code,
        reason: refused.message,
      });
      sendEnd(header.request, refused);
    }
  };
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
    const entry = inbound.get(header.request);
    if (entry?.scatter === undefined || entry.isStopped) return;
    try {
      if (chunk.length > entry.scatter.left)
        throw transferError("TRANSFER_OUT_OF_BOUNDS", "The peer sent more bytes than it announced.");
      entry.admitted.recheck();
      entry.scatter.put(chunk);
      if (entry.scatter.left > 0) return;
      entry.admitted.recheck();
      inbound.delete(header.request);
      sendEnd(header.request, undefined);
    } catch (error) {
      inbound.delete(header.request);
      sendEnd(header.request, asTransferError(error, transport));
    }
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
    const sequence = reader.offset();
    const message: WireNotification = {
      kind,
      sequence,
      tag: reader.text(4096),
      payload: reader.bytes(requestHeadLimit),
    };
    if (peer === undefined) return;
    void host.deliver(peer, message).then(() => send(frameType.ack, 0, header.request));
  };
  const parser = createFrameParser(() => (isReady ? requestHeadLimit : handshakeHeadLimit), {
    onFrame(header, head) {
      if (!isReady) onHandshake(header, head);
      else if (header.type === frameType.read || header.type === frameType.write) onRequest(header, head);
      else if (header.type === frameType.end) onEnd(header, head);
      else if (header.type === frameType.notify) onNotify(header, head);
      else if (header.type === frameType.ack) {
        unacknowledged.get(header.request)?.resolve();
        unacknowledged.delete(header.request);
        roomWaits.shift()?.();
      } else if (header.type === frameType.cancel) {
        const entry = inbound.get(header.request);
        if (entry === undefined) return;
        entry.isStopped = true;
        if (entry.scatter === undefined) return;
        inbound.delete(header.request);
        sendEnd(header.request, transferError("TRANSFER_CANCELLED", "The writer cancelled."));
      }
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
  if (dialed === undefined)
    send(
      frameType.challenge,
      0,
      0,
      createByteWriter().u8(protocolVersion).raw(nonce).text(host.incarnation).finish(),
    );

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
  const localRegion = (id: number): RegionMemory => {
    const region = host.region(id);
    if (region === undefined)
      throw transferError("TRANSFER_REGION_GONE", `Region ${id} was deregistered.`, { region: id });
    return region;
  };
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
