import type { Transport } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { readMaxBytes } from "../session/limits.ts";
import { openH2Connection, type H2Connection, type H2ConnectionOptions } from "./h2-connection.ts";

/** A transport to one process; its connection is opened with the first call and again after it broke. */
export function openServiceLink(options: H2ConnectionOptions): {
  readonly transport: Transport;
  close(): void;
} {
  let connection: H2Connection | undefined;
  const transport = createGrpcTransport({
    baseUrl: options.authority,
    acceptCompression: [],
    readMaxBytes,
    writeMaxBytes: readMaxBytes,
    sessionManager: {
      authority: options.authority,
      request(method, path, headers, requestOptions) {
        if (connection === undefined || connection.isOver) connection = openH2Connection(options);
        return connection.request(method, path, headers, requestOptions);
      },
      notifyResponseByteRead() {},
    },
  });
  return { transport, close: () => connection?.close() };
}
