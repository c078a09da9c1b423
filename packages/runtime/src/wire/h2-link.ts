import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { BulkService, SessionService } from "@stator/contracts";
import { frameBytes, readMaxBytes } from "../session/limits.ts";
import type { SessionLink } from "../session/session-port.ts";
import { fromConnectError } from "./connect-error.ts";
import { openH2Connection, type H2Connection, type H2ConnectionOptions } from "./h2-connection.ts";

/** How long the connection for what is big stays open without a use, in milliseconds. */
const bulkIdleMs = 5_000;
/** What is big has stopped coming after so long without a piece: its connection is given up, and the next try opens another. */
const bulkStallMs = 5_000;

/**
 * The calls of a worker in another process. The session and what is big have a connection each: TCP would make tokens
 * wait behind an artefact even on another stream.
 */
export function openH2Link(options: H2ConnectionOptions): SessionLink {
  const sessionConnection = openH2Connection(options);
  let bulkConnection: H2Connection | undefined;
  let fetches = 0;
  let idle = { cancel: (): void => {} };

  const closeBulk = (): void => {
    bulkConnection?.close();
    bulkConnection = undefined;
  };
  /** A connection that fetched something once is not kept for the life of the session. */
  async function* counted<Message>(
    connection: H2Connection,
    messages: AsyncIterable<Message>,
  ): AsyncGenerator<Message> {
    idle.cancel();
    fetches += 1;
    const watch = (): { cancel(): void } => options.clock.schedule(bulkStallMs, () => connection.close());
    let stall = watch();
    try {
      for await (const message of messages) {
        stall.cancel();
        yield message;
        stall = watch();
      }
    } finally {
      stall.cancel();
      fetches -= 1;
      if (fetches === 0) idle = options.clock.schedule(bulkIdleMs, closeBulk);
    }
  }

  const transport = (sessionManager: H2Connection) =>
    createGrpcTransport({
      baseUrl: options.authority,
      sessionManager,
      acceptCompression: [],
      readMaxBytes,
      writeMaxBytes: readMaxBytes,
      compressMinBytes: frameBytes,
    });
  const sessions = createClient(SessionService, transport(sessionConnection));

  return {
    session: (requests, signal) => translated(sessions.session(requests, { signal })),
    fetch(request, signal) {
      if (bulkConnection === undefined || bulkConnection.isOver) bulkConnection = openH2Connection(options);
      return counted(
        bulkConnection,
        translated(createClient(BulkService, transport(bulkConnection)).fetch(request, { signal })),
      );
    },
    close() {
      sessionConnection.close();
      idle.cancel();
      closeBulk();
    },
  };
}

/** The same messages; errors that the peer sent on purpose are ours again. */
async function* translated<Message>(messages: AsyncIterable<Message>): AsyncGenerator<Message> {
  try {
    for await (const message of messages) yield message;
  } catch (error) {
    throw fromConnectError(error) ?? error;
  }
}
