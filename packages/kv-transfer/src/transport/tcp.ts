import { connect, createServer, type Server, type Socket } from "node:net";
import {
  connect as connectTls,
  createServer as createTlsServer,
  type ConnectionOptions,
  type TlsOptions,
} from "node:tls";
import { createByteReader, createByteWriter } from "../byte-codec.ts";
import { loadTransferAddon } from "../native/transfer-addon.ts";
import { readInto } from "../stream/rewrap-socket.ts";
import { connectStreams, createStreamAcceptor, type Dial } from "../stream/stream-transport.ts";
import { transferError } from "../transfer-error.ts";
import { connectWire } from "../wire/connect-wire.ts";
import { createWireHub } from "../wire/wire-hub.ts";
import type { OpenTransport, RemoteAgent, Transport, TransportHost } from "./transport.ts";

export interface TcpOptions {
  /** Address to listen on. Default 127.0.0.1: a cluster sets the interface that its peers reach. */
  readonly host?: string;
  /** Port to listen on. Default 0: the system picks one. */
  readonly port?: number;
  /** Host that peers shall dial, where it differs from `host` (0.0.0.0, a container's name). */
  readonly advertise?: string;
  /** `typescript` never uses the native addon. Default `auto`: data goes over connections of the addon's threads where both ends have it. */
  readonly dataPath?: "auto" | "typescript";
  /** Data connections per peer, 1 to 16. Default 1; more help on fast networks with many cores. */
  readonly connections?: number;
  /** TLS on both sides. `server` takes key, cert and, for mutual TLS, ca with requestCert; `client` what `tls.connect` takes. */
  readonly tls?: { readonly server: TlsOptions; readonly client: ConnectionOptions };
}

/**
 * TCP: every access is checked at the target, writes are acknowledged by it, reads stream back as one reply. Reaches any host. With the native addon
 * on both ends its threads move the bytes, straight from and into registered memory; without it, or with TLS, TypeScript does, at about half the rate.
 */
export function tcp(options: TcpOptions = {}): Transport {
  const connections = options.connections ?? 1;
  if (!Number.isInteger(connections) || connections < 1 || connections > 16)
    throw transferError("TRANSFER_OPTION_INVALID", "tcp: connections must be 1 to 16.", { connections });
  return {
    name: "tcp",
    open: (host) => openTcp("tcp", options, host, (peer) => peer.connections.get("tcp")),
  };
}

/** TCP under any transport's name: what one-sided networks use beside their data. `infoOf` finds this side's `connectionInfo` in a peer's. */
export async function openTcp(
  name: string,
  options: TcpOptions,
  host: TransportHost,
  infoOf: (peer: RemoteAgent) => Uint8Array | undefined,
): Promise<OpenTransport> {
  const listenHost = options.host ?? "127.0.0.1";
  const connections = options.connections ?? 1;
  const native =
    options.dataPath === "typescript" || options.tls !== undefined ? undefined : loadTransferAddon();
  const hub = native?.isAvailable === true ? createWireHub(native.addon, name, host) : undefined;
  const acceptor = createStreamAcceptor(
    name,
    host,
    hub === undefined ? undefined : (fd, greeting) => hub.attach(fd, false, greeting, () => undefined),
  );
  const accept = (socket: Socket): void => {
    socket.setNoDelay(true);
    acceptor.accept(socket, options.tls === undefined);
  };
  const server: Server =
    options.tls === undefined
      ? createServer({ pauseOnConnect: true }, accept)
      : createTlsServer(options.tls.server, accept);
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(options.port ?? 0, listenHost, () => {
      server.off("error", reject);
      resolve();
    });
  });
  server.on("error", (error) =>
    host.logger.error(`${name} transport: listening failed`, { reason: error.message }),
  );
  server.unref();
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  const info = createByteWriter()
    .text(options.advertise ?? listenHost)
    .u32(port)
    .u8(options.tls === undefined ? 0 : 1)
    .u8(hub === undefined ? 0 : 1)
    .finish();
  const target = (peer: RemoteAgent): { host: string; port: number; isNative: boolean } | undefined => {
    const raw = infoOf(peer);
    if (raw === undefined) return undefined;
    const reader = createByteReader(raw, "TCP address");
    const to = { host: reader.text(1024), port: reader.u32() };
    reader.u8();
    return { ...to, isNative: reader.u8() === 1 };
  };
  const dial =
    (peer: RemoteAgent): Dial =>
    (signal, onChunk) =>
      new Promise((resolve, reject) => {
        const to = target(peer);
        if (to === undefined)
          return reject(
            transferError("TRANSFER_PATH_UNAVAILABLE", `Peer ${peer.name} offers no TCP address.`, {
              peer: peer.name,
            }),
          );
        const socket: Socket =
          options.tls === undefined
            ? connect({ ...to, noDelay: true, onread: readInto(onChunk) })
            : connectTls({ ...to, ...options.tls.client });
        const event = options.tls === undefined ? "connect" : "secureConnect";
        const fail = (error: Error): void => {
          signal.removeEventListener("abort", onAbort);
          socket.destroy();
          // Nobody listens there any more: the process is gone.
          const isGone = (error as NodeJS.ErrnoException).code === "ECONNREFUSED";
          reject(
            transferError(
              isGone ? "TRANSFER_PEER_LOST" : "TRANSFER_TRANSPORT_FAILED",
              `Peer ${peer.name} at ${to.host}:${to.port}: ${error.message}.`,
              { peer: peer.name, transport: name },
              error,
            ),
          );
        };
        const onAbort = (): void => {
          socket.destroy();
          reject(
            transferError(
              "TRANSFER_DEADLINE",
              `Connecting to ${peer.name} at ${to.host}:${to.port} took too long.`,
              { peer: peer.name },
            ),
          );
        };
        signal.addEventListener("abort", onAbort, { once: true });
        socket.once("error", fail);
        socket.once(event, () => {
          signal.removeEventListener("abort", onAbort);
          socket.off("error", fail);
          socket.setNoDelay(true);
          resolve({ stream: socket, isFed: options.tls === undefined });
        });
      });
  const why = (isNative: boolean): string => {
    if (options.tls !== undefined) return " (TLS, moved by TypeScript: about half of what native threads do)";
    if (options.dataPath === "typescript") return "";
    if (native?.isAvailable === false) return `; slower without the addon (${native.reason})`;
    return isNative ? ", moved by native threads" : "; slower: the peer has no addon";
  };
  return {
    name,
    capabilities: {
      scope: "network",
      memory: ["host", "device"],
      isOneSided: false,
      acknowledges: "remote",
      boundsCheckedBy: "target",
      carriesNotifications: true,
    },
    connectionInfo: () => info,
    exportRegion: (region) =>
      region.memory === "host" || region.memory === "device"
        ? (hub?.exportRegion(region) ?? new Uint8Array(0))
        : { reason: `tcp carries host and device memory, not ${region.memory}` },
    reach(peer, local, remote) {
      const to = target(peer);
      if (to === undefined) return { isReachable: false, reason: `the peer has no ${name} transport` };
      // Bytes of a device are copied to host memory by whoever sends or gets them.
      const isStaged = local?.memory === "device" || remote?.memory === "device";
      return {
        isReachable: true,
        path: `tcp ${to.host}:${to.port}${isStaged ? ", device memory staged through host memory" : why(to.isNative)}`,
        bytesPerSecond: hub !== undefined && to.isNative && !isStaged ? 3e9 : 1.5e9,
        latencyMicros: 100,
      };
    },
    forgetRegion: (id) => hub?.forgetRegion(id),
    async connect(peer, signal) {
      if (hub === undefined || target(peer)?.isNative !== true)
        return connectStreams(name, host, peer, connections, dial(peer), signal);
      const control = await connectStreams(name, host, peer, 1, dial(peer), signal);
      return connectWire({
        transport: name,
        host,
        peer,
        hub,
        control,
        connections,
        dial: dial(peer),
        signal,
      });
    },
    close() {
      acceptor.closeAll();
      hub?.close();
      return new Promise((resolve) => {
        server.close(() => resolve());
      });
    },
  };
}
