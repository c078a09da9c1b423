import { connect as connectPlain, isIP, type Socket } from "node:net";
import { connect as connectSecure } from "node:tls";
import { createResponseParser, type ResponseParser, type ResponseSink } from "./response-parser.ts";

/** Who is told of an exchange. */
export interface ExchangeSink extends ResponseSink {
  /** What one read of the socket brought has been told. */
  onRead(): void;
  /** It failed; nothing more is told. `isUnheard`: no byte of an answer came on a connection that had served before. */
  onFailure(error: Error, isUnheard: boolean): void;
}

/** A connection to one server that carries one exchange at a time. */
export interface Connection {
  /** Sends a whole request. One exchange at a time. */
  send(head: string, body: Uint8Array, sink: ExchangeSink): void;
  /** Stops and goes on reading. */
  pause(): void;
  resume(): void;
  destroy(): void;
}

export interface ConnectionOptions {
  readonly url: URL;
  /** The answer is complete and the connection may carry another exchange; `idleMs` is how long the server said it would. */
  readonly onFree: (idleMs: number | undefined) => void;
  readonly onClose: () => void;
}

/** One buffer for all: what was read is told, or copied, before the next read. */
const readBuffer = Buffer.allocUnsafeSlow(64 * 1024);

/** What closes without a word so soon after a request was closing before it. */
const staleMs = 1_000;

/** Opens a connection; what goes wrong with it is told to the exchange that it carries. */
export function createConnection({ url, onFree, onClose }: ConnectionOptions): Connection {
  const isSecure = url.protocol === "https:";
  let parser: ResponseParser | undefined;
  let sink: ExchangeSink | undefined;
  let failure: Error | undefined;
  /** The answer has ended within what is being told. */
  let isComplete = false;
  let exchanges = 0;
  let sentMs = 0;
  let idleMs: number | undefined;

  const fail = (error: Error): void => {
    const failed = sink;
    const isUnheard = exchanges > 1 && parser?.hasStarted === false && performance.now() - sentMs < staleMs;
    sink = parser = undefined;
    socket.destroy();
    failed?.onFailure(error, isUnheard);
  };
  const onRead = (bytes: Buffer, length: number): void => {
    if (parser === undefined || sink === undefined) {
      // Nobody asked: whatever it is, it is no answer to the next request.
      socket.destroy();
      return;
    }
    try {
      parser.push(bytes, 0, length);
    } catch (error) {
      fail(error as Error);
      return;
    }
    if (isComplete) end();
    else sink.onRead();
  };
  /** The whole of a read is known by now: bytes behind the answer make the connection useless. */
  const end = (): void => {
    const [ended, answer] = [sink, parser];
    sink = parser = undefined;
    isComplete = false;
    if (answer?.isReusable === true && !socket.destroyed) {
      socket.unref();
      onFree(idleMs);
    } else socket.destroy();
    ended?.onEnd();
  };

  const host = url.hostname.replace(/^\[|\]$/g, "");
  const port = Number(url.port === "" ? (isSecure ? 443 : 80) : url.port);
  const socket: Socket = isSecure
    ? connectSecure({
        host,
        port,
        ALPNProtocols: ["http/1.1"],
        ...(isIP(host) === 0 ? { servername: host } : {}),
      })
    : connectPlain({
        host,
        port,
        // Neither a new buffer nor a stream's events for each read.
        onread: {
          buffer: readBuffer,
          callback(length) {
            onRead(readBuffer, length);
            return true;
          },
        },
      });
  socket.setNoDelay(true);
  if (isSecure) socket.on("data", (bytes: Buffer) => onRead(bytes, bytes.length));
  else socket.resume();
  socket.on("error", (error) => (failure = error));
  socket.on("end", () => {
    if (parser?.end() === true) end();
    else failure ??= new Error("the server closed the connection");
    socket.destroy();
  });
  socket.on("close", () => {
    fail(failure ?? new Error("the connection was closed"));
    onClose();
  });

  return {
    send(head, body, exchange) {
      exchanges += 1;
      idleMs = undefined;
      sink = exchange;
      parser = createResponseParser({
        onHead(status, headers) {
          const told = /(?:^|[\s,])timeout=(\d+)/i.exec(headers.get("keep-alive") ?? "")?.[1];
          if (told !== undefined) idleMs = Number(told) * 1_000;
          exchange.onHead(status, headers);
        },
        onBody: (bytes, start, end) => exchange.onBody(bytes, start, end),
        onEnd: () => (isComplete = true),
      });
      sentMs = performance.now();
      socket.ref();
      socket.resume();
      socket.cork();
      socket.write(head, "latin1");
      socket.write(body);
      socket.uncork();
    },
    pause: () => void socket.pause(),
    resume: () => void socket.resume(),
    destroy: () => void socket.destroy(),
  };
}
