import { connect, createServer, type Socket } from "node:net";
import type { Transport } from "../transport/transport.ts";

export interface TcpProxyOptions {
  /** Port that it leads to, asked for each connection. */
  to(): number;
  /** Cuts a connection after so many bytes from the server. */
  readonly cutAfterBytes?: number;
  /** Flips a bit of this byte from the server. */
  readonly flipAtByte?: number;
  /** Is shown every byte, of both sides. */
  see?(chunk: Uint8Array): void;
}

/** A TCP proxy of this host that cuts or damages what flows from the server. */
export async function openTcpProxy(
  options: TcpProxyOptions,
): Promise<{ readonly port: number; close(): Promise<void> }> {
  const sockets = new Set<Socket>();
  const server = createServer((down) => {
    const up = connect(options.to(), "127.0.0.1");
    sockets.add(down).add(up);
    let seen = 0;
    down.pipe(up);
    if (options.see !== undefined) down.on("data", options.see);
    up.on("data", (chunk: Buffer) => {
      options.see?.(chunk);
      const flip = options.flipAtByte;
      if (flip !== undefined && flip >= seen && flip < seen + chunk.length)
        chunk[flip - seen] = (chunk[flip - seen] as number) ^ 0x10;
      const room = (options.cutAfterBytes ?? Infinity) - seen;
      seen += chunk.length;
      if (chunk.length < room) return void down.write(chunk);
      // What was passed on before arrives; then the line is dead.
      down.end(chunk.subarray(0, room), () => down.destroySoon());
      up.destroy();
    });
    for (const [a, b] of [
      [up, down],
      [down, up],
    ] as const) {
      a.on("error", () => b.destroy());
      a.on("close", () => (a === up ? b.end() : b.destroy()));
    }
  });
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
  const address = server.address();
  return {
    port: typeof address === "object" && address !== null ? address.port : 0,
    close: () =>
      new Promise((resolve) => {
        for (const socket of sockets) socket.destroy();
        server.close(() => resolve());
      }),
  };
}

/** A TCP transport whose metadata names another port than the one it listens on, as behind a NAT. */
export function advertising(inner: Transport, port: number, learn: (real: number) => void): Transport {
  return {
    name: inner.name,
    async open(host) {
      const open = await inner.open(host);
      const info = Uint8Array.from(open.connectionInfo());
      const view = new DataView(info.buffer);
      const at = 4 + view.getUint32(0, true);
      learn(view.getUint32(at, true));
      view.setUint32(at, port, true);
      return { ...open, connectionInfo: () => info };
    },
  };
}
