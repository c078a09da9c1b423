import { connect, createServer, type Server, type Socket } from "node:net";
import {
  connect as connectTls,
  createServer as createTlsServer,
  type ConnectionOptions,
  type TlsOptions,
  TLSSocket,
} from "node:tls";
import { createByteReader, createByteWriter } from "../byte-codec.ts";
import { loadTransferAddon } from "../native/transfer-addon.ts";
import { readInto } from "../stream/rewrap-socket.ts";
import { connectStreams, createStreamAcceptor, type Dial } from "../stream/stream-transport.ts";
import { transferError, type TransferErrorCode } from "../transfer-error.ts";
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

/** Where a peer listens, and what it speaks there. */
interface TcpAddress {
  readonly host: string;
  readonly port: number;
  readonly hasTls: boolean;
  readonly isNative: boolean;
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
  // Who is refused by TLS is told next to nothing: the reason is for this side's operator.
  server.on("tlsClientError", (error: Error) =>
    host.logger.warn(`${name} transport: refused a TLS connection`, { reason: error.message }),
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
  const target = (peer: RemoteAgent): TcpAddress | undefined => {
    const raw = infoOf(peer);
    if (raw === undefined) return undefined;
    const reader = createByteReader(raw, "TCP address");
    return {
      host: reader.text(1024),
      port: reader.u32(),
      hasTls: reader.u8() === 1,
      isNative: reader.u8() === 1,
    };
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
        const { host: address, port: at } = to;
        const socket: Socket =
          options.tls === undefined
            ? connect({ host: address, port: at, noDelay: true, onread: readInto(onChunk) })
            : connectTls({ host: address, port: at, ...options.tls.client });
        const event = options.tls === undefined ? "connect" : "secureConnect";
        const fail = (error: Error): void => {
          signal.removeEventListener("abort", onAbort);
          socket.destroy();
          reject(
            transferError(
              dialFailureCode(error, socket),
              `Peer ${peer.name} at ${address}:${at}: ${error.message}.`,
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
              `Connecting to ${peer.name} at ${address}:${at} took too long.`,
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
      if (to.hasTls !== (options.tls !== undefined))
        return {
          isReachable: false,
          reason: to.hasTls
            ? "the peer's tcp speaks TLS and this agent's does not: give both `tls`"
            : "this agent's tcp speaks TLS and the peer's does not: give both `tls`",
        };
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

function dialFailureCode(error: Error, socket: Socket): TransferErrorCode {
  const code = (error as NodeJS.ErrnoException).code ?? "";
  // Nobody listens there any more: the process is gone.
  if (code === "ECONNREFUSED") return "TRANSFER_PEER_LOST";
  // A certificate that does not prove who it should is no reason to try a way that asks for none.
  if (socket instanceof TLSSocket && Boolean(socket.authorizationError)) return "TRANSFER_UNAUTHORIZED";
  return code.startsWith("ERR_SSL_") ? "TRANSFER_INCOMPATIBLE" : "TRANSFER_TRANSPORT_FAILED";
}
