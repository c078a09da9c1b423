import { type Dial, openStream, type StreamsLink } from "../stream/stream-transport.ts";
import { asTransferError, transferError } from "../transfer-error.ts";
import type { Link, RemoteAgent, TransportHost } from "../transport/transport.ts";
import type { WireHub } from "./wire-hub.ts";
import { createWireLink } from "./wire-link.ts";

export interface ConnectWireOptions {
  readonly transport: string;
  readonly host: TransportHost;
  readonly peer: RemoteAgent;
  readonly hub: WireHub;
  /** The stream that carries notifications and tells of the peer's end. */
  readonly control: StreamsLink;
  readonly connections: number;
  readonly dial: Dial;
  readonly signal: AbortSignal;
}

/** Dials the data connections and hands their sockets to native threads once both ends have proved who they are. */
export async function connectWire(options: ConnectWireOptions): Promise<Link> {
  const { transport, host, peer, hub, control } = options;
  const connections: number[] = [];
  // One cut connection ends the link: a half-connected peer would only hide the failure.
  const onClosed = (): void =>
    control.destroy(
      transferError("TRANSFER_TRANSPORT_FAILED", `A ${transport} data connection to ${peer.name} ended.`, {
        peer: peer.name,
        transport,
      }),
    );
  control.onEnd(() => {
    for (const connection of connections) hub.detach(connection);
  });
  try {
    for (let i = 0; i < options.connections; i += 1) {
      const before = connections.length;
      const stream = await openStream({
        transport,
        host,
        peer,
        dial: options.dial,
        signal: options.signal,
        goNative: (fd) => connections.push(hub.attach(fd, true, undefined, onClosed)),
        onClose: () => undefined,
      });
      // A peer that won't, or a Node version without a descriptor to take: the stream beside serves.
      if (connections.length === before) await stream.close();
    }
  } catch (error) {
    for (const connection of connections) hub.detach(connection);
    await control.close();
    throw asTransferError(error, transport);
  }
  if (connections.length === 0) return control;
  return createWireLink(transport, host, peer, hub, control, connections);
}
