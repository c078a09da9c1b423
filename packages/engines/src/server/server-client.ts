import { Agent as PlainAgent, request as plainRequest, type IncomingMessage } from "node:http";
import { Agent as SecureAgent, request as secureRequest } from "node:https";
import { text } from "node:stream/consumers";
import { cancelled, linkAbort } from "@stator/core";
import { parseExactJson, stringifyExactJson } from "./exact-json.ts";
import { serverError, serverGone } from "./server-errors.ts";
import { readEvents, type EventStream } from "./stream/event-stream.ts";

export interface ServerClientOptions {
  /** Base address, `http://host:port`. */
  readonly url: string;
  readonly apiKey?: string;
  /** Longest wait for small answers: health, models, metrics. Default 5,000 ms. */
  readonly probeMs?: number;
}

/** HTTP calls to one engine server, with its errors as ours. */
export interface ServerClient {
  readonly url: string;
  getText(path: string, signal?: AbortSignal): Promise<string>;
  getJson(path: string, signal?: AbortSignal): Promise<unknown>;
  postJson(path: string, body: unknown, options: PostOptions): Promise<unknown>;
  /** Parsed `data:` payloads of a server-sent event stream, until `[DONE]` or its end; asks when it is first read. */
  postEvents(path: string, body: unknown, options: PostOptions): EventStream;
  /** Closes the connections that wait for another request. */
  close(): void;
}

export interface PostOptions {
  readonly signal: AbortSignal;
  readonly headers?: Readonly<Record<string, string>>;
}

export function createServerClient({ url, apiKey, probeMs = 5_000 }: ServerClientOptions): ServerClient {
  const authorization: Record<string, string> =
    apiKey === undefined ? {} : { authorization: `Bearer ${apiKey}` };

  const call = async (path: string, init: RequestInit, signal: AbortSignal): Promise<Response> => {
    let response: Response;
    try {
      response = await fetch(new URL(path, url), { ...init, signal });
    } catch (error) {
      if (signal.aborted) throw cancelled(signal);
      throw serverGone(url, error, false);
    }
    if (!response.ok) throw serverError(url, response.status, await read(response, signal));
    return response;
  };
  const read = async (response: Response, signal: AbortSignal): Promise<string> => {
    try {
      return await response.text();
    } catch (error) {
      if (signal.aborted) throw cancelled(signal);
      throw serverGone(url, error, true);
    }
  };
  const get = async (path: string, caller?: AbortSignal): Promise<string> => {
    const { signal, abort, unlink } = linkAbort(caller);
    const timer = setTimeout(abort, probeMs);
    try {
      return await read(await call(path, { headers: authorization }, signal), signal);
    } catch (error) {
      if (signal.aborted && caller?.aborted !== true)
        throw serverGone(url, new Error(`no answer to ${path} within ${probeMs} ms`), false);
      throw error;
    } finally {
      clearTimeout(timer);
      unlink();
    }
  };
  const isSecure = url.startsWith("https:");
  const agent = new (isSecure ? SecureAgent : PlainAgent)({ keepAlive: true });
  const send = isSecure ? secureRequest : plainRequest;

  /** Streams come over `node:http`: `fetch` costs some 50 microseconds of each event. */
  const post = (
    path: string,
    body: unknown,
    { signal, headers = {} }: PostOptions,
  ): Promise<IncomingMessage> => {
    const bytes = Buffer.from(stringifyExactJson(body));
    const target = new URL(path, url);
    const attempt = (isSecond: boolean): Promise<IncomingMessage> =>
      new Promise((resolve, reject) => {
        if (signal.aborted) {
          reject(cancelled(signal));
          return;
        }
        const call = send(target, {
          method: "POST",
          agent,
          headers: {
            "content-type": "application/json",
            "content-length": bytes.length,
            ...authorization,
            ...headers,
          },
        });
        const onAbort = (): void => {
          reject(cancelled(signal));
          call.destroy();
        };
        signal.addEventListener("abort", onAbort, { once: true });
        call.on("response", (response) => {
          signal.removeEventListener("abort", onAbort);
          resolve(response);
        });
        call.on("error", (error: NodeJS.ErrnoException) => {
          signal.removeEventListener("abort", onAbort);
          // A server may close a connection that waits in the moment in which it is used again: nobody has seen the request.
          const isStale = call.reusedSocket && (error.code === "ECONNRESET" || error.code === "EPIPE");
          if (isStale && !isSecond && !signal.aborted) resolve(attempt(true));
          else reject(signal.aborted ? cancelled(signal) : serverGone(url, error, false));
        });
        call.end(bytes);
      });
    return attempt(false).then(async (response) => {
      const status = response.statusCode ?? 0;
      if (status >= 200 && status < 300) return response;
      throw serverError(url, status, await whole(response, signal));
    });
  };
  const whole = async (response: IncomingMessage, signal: AbortSignal): Promise<string> => {
    const onAbort = (): void => void response.destroy();
    signal.addEventListener("abort", onAbort, { once: true });
    if (signal.aborted) onAbort();
    try {
      return await text(response);
    } catch (error) {
      if (signal.aborted) throw cancelled(signal);
      throw serverGone(url, error, true);
    } finally {
      signal.removeEventListener("abort", onAbort);
    }
  };

  return {
    url,
    getText: get,
    getJson: async (path, signal) => parseExactJson(await get(path, signal)),
    async postJson(path, body, options) {
      return parseExactJson(await whole(await post(path, body, options), options.signal));
    },
    postEvents(path, body, options) {
      let stream: EventStream | undefined;
      let isLeft = false;
      const open = async (): Promise<IteratorResult<readonly unknown[]>> => {
        stream = readEvents(await post(path, body, options), options.signal, url);
        return isLeft ? stream.return() : stream.next();
      };
      return {
        next: () => (stream === undefined ? open() : stream.next()),
        drain: () => stream?.drain(),
        return() {
          isLeft = true;
          return stream?.return() ?? Promise.resolve({ done: true, value: undefined });
        },
      };
    },
    close() {
      for (const sockets of Object.values(agent.freeSockets)) for (const one of sockets ?? []) one.destroy();
    },
  };
}
