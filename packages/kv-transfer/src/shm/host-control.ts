import { existsSync, readFileSync, readlinkSync, unlinkSync } from "node:fs";
import { connect, createServer } from "node:net";
import { join } from "node:path";
import { createByteReader, createByteWriter } from "../byte-codec.ts";
import { connectStreams, createStreamAcceptor, type Dial } from "../stream/stream-transport.ts";
import { asTransferError, transferError } from "../transfer-error.ts";
import type { Link, RemoteAgent, TransportHost } from "../transport/transport.ts";
import { prepareSharedDirectory, processStart } from "./shared-file.ts";

/** Where agents of one host and user meet unless told otherwise. By number: users of containers have no name. */
export function defaultSharedDirectory(): string {
  return `/dev/shm/stator-${process.getuid?.() ?? -1}`;
}

/** A process of this host as its metadata names it. */
export interface HostAddress {
  readonly hostId: string;
  readonly pidNamespace: string;
  readonly pid: number;
  /** Start of the process in clock ticks: with the pid it names one process for good. */
  readonly startTime: string;
  readonly socket: string;
  /** What the transport added. */
  readonly extra: Uint8Array;
}

/** A unix socket beside a one-sided transport: notifications go over it, and its end tells of the peer's death at once. */
export interface HostControl {
  /** Begins the name of every file that this agent makes in the directory. */
  readonly prefix: string;
  readonly own: HostAddress;
  info(extra: Uint8Array): Uint8Array;
  addressOf(peer: RemoteAgent): HostAddress | undefined;
  /** Why the peer can't be reached on this host; `undefined` if it can. */
  obstacle(peer: RemoteAgent): string | undefined;
  connect(peer: RemoteAgent, signal: AbortSignal): Promise<Link>;
  close(): Promise<void>;
}

export async function openHostControl(
  transport: string,
  host: TransportHost,
  directory: string,
): Promise<HostControl> {
  if (process.platform !== "linux")
    throw transferError(
      "TRANSFER_PATH_UNAVAILABLE",
      `The ${transport} transport needs Linux; leave it out of \`transports\` here.`,
    );
  prepareSharedDirectory(directory);
  const startTime = processStart(process.pid) ?? "0";
  const prefix = `${process.pid}-${startTime}-${host.incarnation}-${transport}`;
  const socket = `${prefix}.sock`;
  const acceptor = createStreamAcceptor(transport, host);
  const server = createServer((stream) => acceptor.accept(stream));
  await new Promise<void>((resolve, reject) => {
    server.once("error", (error) => reject(asTransferError(error, transport)));
    server.listen(join(directory, socket), resolve);
  });
  server.on("error", (error) =>
    host.logger.error(`${transport} transport: listening failed`, { reason: error.message }),
  );
  server.unref();
  const own: HostAddress = {
    hostId: readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim(),
    pidNamespace: readlinkSync("/proc/self/ns/pid"),
    pid: process.pid,
    startTime,
    socket,
    extra: new Uint8Array(0),
  };
  const addressOf = (peer: RemoteAgent): HostAddress | undefined => {
    const raw = peer.connections.get(transport);
    if (raw === undefined) return undefined;
    const reader = createByteReader(raw, "Host address");
    return {
      hostId: reader.text(64),
      pidNamespace: reader.text(64),
      pid: reader.u32(),
      startTime: reader.text(32),
      socket: reader.text(200),
      extra: reader.bytes(4096),
    };
  };
  const dial =
    (peer: RemoteAgent): Dial =>
    (signal) =>
      new Promise((resolve, reject) => {
        const stream = connect(join(directory, addressOf(peer)?.socket ?? "absent.sock"));
        const fail = (error: Error): void => {
          signal.removeEventListener("abort", onAbort);
          stream.destroy();
          const { code } = error as NodeJS.ErrnoException;
          const isGone = code === "ECONNREFUSED" || code === "ENOENT";
          reject(
            transferError(
              isGone ? "TRANSFER_PEER_LOST" : "TRANSFER_TRANSPORT_FAILED",
              `Peer ${peer.name} is not there: ${error.message}.`,
              { peer: peer.name, transport },
              error,
            ),
          );
        };
        const onAbort = (): void => {
          stream.destroy();
          reject(
            transferError("TRANSFER_DEADLINE", `Connecting to ${peer.name} took too long.`, {
              peer: peer.name,
            }),
          );
        };
        signal.addEventListener("abort", onAbort, { once: true });
        stream.once("error", fail);
        stream.once("connect", () => {
          signal.removeEventListener("abort", onAbort);
          stream.off("error", fail);
          resolve({ stream, isFed: false });
        });
      });
  return {
    prefix,
    own,
    info: (extra) =>
      createByteWriter()
        .text(own.hostId)
        .text(own.pidNamespace)
        .u32(own.pid)
        .text(own.startTime)
        .text(socket)
        .bytes(extra)
        .finish(),
    addressOf,
    obstacle(peer) {
      const address = addressOf(peer);
      if (address === undefined) return `the peer has no ${transport} transport`;
      if (address.hostId !== own.hostId) return "the peer runs on another host";
      if (!/^[0-9a-z-]+\.sock$/.test(address.socket))
        return "the peer names a socket in a form that no agent makes";
      if (!existsSync(join(directory, address.socket)))
        return `the peer's socket is not in ${directory} (another container, another user, or it ended)`;
      return undefined;
    },
    connect: (peer, signal) => connectStreams(transport, host, peer, 1, dial(peer), signal),
    async close() {
      acceptor.closeAll();
      await new Promise<void>((resolve) => {
        server.close(() => resolve());
      });
      if (existsSync(join(directory, socket))) unlinkSync(join(directory, socket));
    },
  };
}
