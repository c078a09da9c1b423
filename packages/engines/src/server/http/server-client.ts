import { cancelled, linkAbort } from "@stator/core";
import { parseExactJson, stringifyExactJson } from "./exact-json.ts";
import { createEventSource, type EventPost, type EventSource } from "../stream/event-source.ts";
import { createConnections, type Connections } from "./connections.ts";
import { serverError, serverGone } from "./server-errors.ts";

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
  /** The `data:` payloads of a server-sent event stream, until `[DONE]` or its end; asks when it is opened. */
  postEvents(path: string, body: unknown, options: PostOptions): EventSource;
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
  const connections = createConnections(url);
  const postOf = (path: string, body: unknown, { signal, headers = {} }: PostOptions): EventPost => ({
    url,
    path,
    signal,
    headers: { "content-type": "application/json", ...authorization, ...headers },
    body: Buffer.from(stringifyExactJson(body)),
  });

  return {
    url,
    getText: get,
    getJson: async (path, signal) => parseExactJson(await get(path, signal)),
    async postJson(path, body, options) {
      return parseExactJson(await wholeAnswer(connections, postOf(path, body, options)));
    },
    postEvents: (path, body, options) => createEventSource(connections, postOf(path, body, options)),
    close: () => connections.close(),
  };
}

/** Streams and long answers come over connections of our own: `fetch` costs some 50 microseconds of each event. */
function wholeAnswer(
  connections: Connections,
  { url, path, headers, body, signal }: EventPost,
): Promise<string> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) {
      reject(cancelled(signal));
      return;
    }
    let status = 0;
    const pieces: Buffer[] = [];
    const settle = (): void => signal.removeEventListener("abort", onAbort);
    const onAbort = (): void => {
      call.leave();
      reject(cancelled(signal));
    };
    const call = connections.post(path, headers, body, {
      onHead: (told) => (status = told),
      onBody: (bytes, start, end) => void pieces.push(Buffer.from(bytes.subarray(start, end))),
      onRead: () => {},
      onEnd() {
        settle();
        const text = Buffer.concat(pieces).toString("utf8");
        if (status >= 200 && status < 300) resolve(text);
        else reject(serverError(url, status, text));
      },
      onFailure(error, hasAnswered) {
        settle();
        reject(serverGone(url, error, hasAnswered));
      },
    });
    signal.addEventListener("abort", onAbort, { once: true });
  });
}
