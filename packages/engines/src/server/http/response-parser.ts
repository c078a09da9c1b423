/** Header fields of an answer, names in lower case; fields that came twice are joined by a comma. */
export type ResponseHeaders = ReadonlyMap<string, string>;

/** Who is told of an answer while its bytes come. */
export interface ResponseSink {
  onHead(status: number, headers: ResponseHeaders): void;
  /** A piece of the body: `bytes[start, end)`, which are the reader's own and valid during the call only. */
  onBody(bytes: Buffer, start: number, end: number): void;
  /** The body is complete. */
  onEnd(): void;
}

/** One answer of HTTP/1.1 as it comes from a socket (RFC 9112). */
export interface ResponseParser {
  /**
   * Takes what was read; everything is told in the call.
   *
   * @throws Error what is wrong with it; nothing more may be pushed then.
   */
  push(bytes: Buffer, start: number, end: number): void;
  /** The connection ended: whether the answer was complete, or is with that. */
  end(): boolean;
  /** The answer is complete and its connection may carry another. */
  readonly isReusable: boolean;
  readonly hasStarted: boolean;
}

/** Bounds on what is kept of a head and of a chunk's own line. */
const mostHeadBytes = 64 * 1024;
const mostLineBytes = 4 * 1024;

const cr = 0x0d;
const lf = 0x0a;

/** Where in the answer the next byte is. */
type State = "head" | "length" | "chunkSize" | "chunkData" | "chunkEnd" | "trailer" | "untilClose" | "done";

/**
 * A parser for one answer. `node:http` would do, at some 20 µs for each read of a stream: two streams, an event emitter and a
 * decoder a token. Here a read is one call, and a piece of the body is a range of the socket's buffer.
 */
export function createResponseParser(sink: ResponseSink): ResponseParser {
  let state: State = "head";
  /** What was read of a head that is not complete. */
  let held: Buffer | undefined;
  /** Bytes left of the body, or of the chunk. */
  let left = 0;
  /** Of a chunk's own line: its value so far, digits seen, bytes seen, and whether an extension has begun. */
  let size = 0;
  let digits = 0;
  let lineBytes = 0;
  let isExtension = false;
  let hasStarted = false;
  let keepsOpen = false;

  const finish = (): void => {
    state = "done";
    sink.onEnd();
  };
  const startLine = (next: State): void => {
    state = next;
    size = digits = lineBytes = 0;
    isExtension = false;
  };
  const line = (): void => {
    if (++lineBytes > mostLineBytes)
      throw new Error(`a line of more than ${mostLineBytes} bytes in its chunks`);
  };

  /** Returns where the body begins, or undefined while the head is incomplete. */
  const readHead = (bytes: Buffer, start: number, end: number): number | undefined => {
    const before = held?.length ?? 0;
    const fresh = bytes.subarray(start, end);
    const all = held === undefined ? fresh : Buffer.concat([held, fresh]);
    const bodyAt = endOfHead(all);
    if (bodyAt === undefined) {
      if (all.length > mostHeadBytes) throw new Error(`a head of more than ${mostHeadBytes} bytes`);
      // The reader's buffer is used again.
      held = held === undefined ? Buffer.from(all) : all;
      return undefined;
    }
    held = undefined;
    const { status, version, headers } = parseHead(all.toString("latin1", 0, bodyAt));
    const next = start + bodyAt - before;
    // An interim answer: the real one follows.
    if (status < 200 && status !== 101) return readHead(bytes, next, end);
    const connection = (headers.get("connection") ?? "").toLowerCase();
    keepsOpen = version === "1" ? !connection.includes("close") : connection.includes("keep-alive");
    const coding = headers.get("transfer-encoding")?.toLowerCase();
    const length = headers.get("content-length");
    if (status === 204 || status === 304) {
      sink.onHead(status, headers);
      finish();
    } else if (coding !== undefined) {
      if (/(?:^|,)\s*chunked\s*$/.test(coding)) startLine("chunkSize");
      else state = "untilClose";
      sink.onHead(status, headers);
    } else if (length !== undefined) {
      left = lengthOf(length);
      state = "length";
      sink.onHead(status, headers);
      if (left === 0) finish();
    } else {
      state = "untilClose";
      sink.onHead(status, headers);
    }
    return next;
  };

  return {
    get isReusable() {
      return state === "done" && keepsOpen;
    },
    get hasStarted() {
      return hasStarted;
    },
    push(bytes, start, end) {
      hasStarted = true;
      let at = start;
      if (state === "head") {
        const bodyAt = readHead(bytes, at, end);
        if (bodyAt === undefined) return;
        at = bodyAt;
      }
      while (at < end) {
        switch (state) {
          case "chunkSize": {
            const byte = bytes[at++]!;
            line();
            if (byte === lf) {
              if (digits === 0) throw new Error("a chunk without a size");
              left = size;
              if (size === 0) startLine("trailer");
              else state = "chunkData";
            } else if (!isExtension) {
              const digit = hexDigit(byte);
              if (digit >= 0) {
                size = size * 16 + digit;
                if (++digits > 12) throw new Error("a chunk of more bytes than there are");
              } else if (digits > 0 && (byte === 0x3b || byte === 0x20 || byte === 0x09)) isExtension = true;
              else if (byte !== cr || digits === 0) throw new Error("a chunk whose size is no number");
            }
            break;
          }
          case "chunkData":
          case "length": {
            const to = Math.min(end, at + left);
            sink.onBody(bytes, at, to);
            left -= to - at;
            at = to;
            if (left > 0) break;
            if (state === "length") finish();
            else startLine("chunkEnd");
            break;
          }
          case "chunkEnd": {
            const byte = bytes[at++]!;
            if (byte === lf) startLine("chunkSize");
            else if (byte !== cr) throw new Error("a chunk that is longer than it says");
            break;
          }
          case "trailer": {
            // Its fields say nothing that we ask for; an empty line ends it.
            const byte = bytes[at++]!;
            if (byte === lf) {
              if (digits === 0) finish();
              digits = 0;
            } else if (byte !== cr) {
              digits = 1;
              line();
            }
            break;
          }
          case "untilClose":
            sink.onBody(bytes, at, end);
            return;
          case "done":
            // Nobody asked for more.
            keepsOpen = false;
            return;
          default:
            throw new Error(`state ${state} has no body`);
        }
      }
    },
    end() {
      keepsOpen = false;
      if (state === "untilClose") finish();
      return state === "done";
    },
  };
}

function hexDigit(byte: number): number {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const letter = byte | 0x20;
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1;
}

/** Where the body begins: after the first empty line. */
function endOfHead(bytes: Buffer): number | undefined {
  for (let at = bytes.indexOf(lf); at >= 0; at = bytes.indexOf(lf, at + 1)) {
    const next = bytes[at + 1] === cr ? at + 2 : at + 1;
    if (bytes[next] === lf) return next + 1;
  }
  return undefined;
}

interface Head {
  readonly status: number;
  /** Minor version. */
  readonly version: string;
  readonly headers: ResponseHeaders;
}

function parseHead(text: string): Head {
  const [first = "", ...lines] = text.split(/\r?\n/);
  const told = /^HTTP\/1\.([01]) (\d{3})(?: |$)/.exec(first);
  if (told === null)
    throw new Error(`an answer that begins with ${JSON.stringify(first.slice(0, 80))}, not as HTTP/1.1`);
  const headers = new Map<string, string>();
  for (const one of lines) {
    const colon = one.indexOf(":");
    if (colon <= 0) continue;
    const name = one.slice(0, colon).toLowerCase();
    const value = one.slice(colon + 1).trim();
    const before = headers.get(name);
    headers.set(name, before === undefined ? value : `${before}, ${value}`);
  }
  return { status: Number(told[2]), version: told[1]!, headers };
}

/** Several lengths must agree, else the body's end is anybody's guess. */
function lengthOf(text: string): number {
  const [first, ...others] = text.split(",").map((one) => one.trim());
  if (first === undefined || !/^\d{1,15}$/.test(first) || others.some((one) => one !== first))
    throw new Error(`a content-length of ${JSON.stringify(text.slice(0, 80))}`);
  return Number(first);
}
