import type { FetchRequest, FetchResponse, SessionRequest, SessionResponse } from "@stator/contracts";

/**
 * The two calls of a worker, as messages: served by a host, called through a link. Within one process both are the same
 * object, and no byte is encoded.
 */
export interface SessionPort {
  /** @param frameGapMs least time between two frames that follow each other, for wires where a frame has its price. */
  session(
    requests: AsyncIterable<SessionRequest>,
    signal: AbortSignal,
    frameGapMs?: number,
  ): AsyncIterable<SessionResponse>;
  fetch(request: FetchRequest, signal: AbortSignal): AsyncIterable<FetchResponse>;
}

/** A way to a port, to be closed by who opened it. */
export interface SessionLink extends SessionPort {
  close(): void;
}
