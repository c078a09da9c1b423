import { type OnReadOpts, Socket, type SocketConstructorOpts } from "node:net";

/** Size of the buffer that a dialled socket reads into. */
const readBufferBytes = 262_144;

/** The `onread` option of `net.connect` that passes every chunk on. */
export function readInto(onChunk: (chunk: Uint8Array) => void): OnReadOpts {
  return {
    buffer: Buffer.allocUnsafeSlow(readBufferBytes),
    callback(bytes, buffer) {
      onChunk(buffer.subarray(0, bytes));
      return true;
    },
  };
}

/**
 * An accepted socket that reads into one reused buffer. Node offers `onread` for sockets that one makes, not for those that a server accepts; taking
 * the handle over to a socket of our own triples what a receiver can take. Where a Node version has no handle to take, `undefined`: use the socket as it is.
 */
export function rewrapSocket(accepted: Socket, onChunk: (chunk: Uint8Array) => void): Socket | undefined {
  const holder = accepted as unknown as { _handle?: { useUserBuffer?: unknown } | null };
  const handle = holder._handle;
  if (typeof handle?.useUserBuffer !== "function") return undefined;
  const options: SocketConstructorOpts & { readonly handle: unknown; readonly onread: OnReadOpts } = {
    handle,
    onread: readInto(onChunk),
    readable: true,
    writable: true,
  };
  const socket = new Socket(options);
  holder._handle = null;
  // The server counts the socket that it made: its end is told when ours ends.
  socket.once("close", () => accepted.destroy());
  return socket;
}
