/** One HTTP request and its answer, whatever carries them. The Fetch handler and the node:http server each make one. */
export interface Exchange {
  readonly method: string;
  /** Decoded by nobody: the raw path without query. */
  readonly path: string;
  header(name: string): string | undefined;
  /**
   * @param onBytes told of each piece; what it throws ends the reading.
   * @throws FrontendError `FRONTEND_BODY_TOO_LARGE` as soon as more than `limitBytes` came.
   */
  readBody(limitBytes: number, onBytes: (bytes: number) => void): Promise<Uint8Array>;
  /** Called at most once, when the client went away before the answer's end. */
  onGone(listener: () => void): void;
  reply(status: number, headers: Readonly<Record<string, string>>, body: string | Uint8Array): void;
  /** Answers 200 with an event stream. */
  openEvents(headers: Readonly<Record<string, string>>): EventSink;
}

/** A stream of server-sent events to one client. */
export interface EventSink {
  /**
   * Takes whole events. They leave together, once per turn of the event loop; `atOnce` leaves before other streams are
   * served. Ignored after the client is gone.
   */
  write(events: string, atOnce?: boolean): void;
  /** Undefined while there is room; else resolves when the client has read enough, or is gone. */
  room(): Promise<void> | undefined;
  end(): void;
}

/** Bytes waiting for one client beyond which no more text is made for it. */
export const eventBufferBytes: number = 256 * 1024;
/** How long a client may leave its stream unread with the buffer full, in ms. */
export const blockedClientMs: number = 60_000;
