import { cancelled, linkAbort } from "@stator/core";
import { parseExactJson, stringifyExactJson } from "./exact-json.ts";
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
  /** Parsed `data:` payloads of a server-sent event stream, until `[DONE]` or its end. */
  postEvents(path: string, body: unknown, options: PostOptions): AsyncGenerator<unknown>;
}

export interface PostOptions {
  readonly signal: AbortSignal;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Most that an answer or a line of a stream may hold, bytes. */
const mostBytes = 64 * 2 ** 20;

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
  const post = (path: string, body: unknown, { signal, headers = {} }: PostOptions): Promise<Response> =>
    call(
      path,
      {
        method: "POST",
        body: stringifyExactJson(body),
        headers: { "content-type": "application/json", ...authorization, ...headers },
      },
      signal,
    );

  return {
    url,
    getText: get,
    getJson: async (path, signal) => parseExactJson(await get(path, signal)),
    async postJson(path, body, options) {
      return parseExactJson(await read(await post(path, body, options), options.signal));
    },
    async *postEvents(path, body, options) {
      const response = await post(path, body, options);
      if (response.body === null) throw serverGone(url, new Error("an empty stream"), true);
      yield* events(response.body, options.signal, url);
    },
  };
}

async function* events(
  body: ReadableStream<Uint8Array>,
  signal: AbortSignal,
  url: string,
): AsyncGenerator<unknown> {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let rest = "";
  try {
    for (;;) {
      const { done, value } = await reader.read().catch((error: unknown) => {
        if (signal.aborted) throw cancelled(signal);
        throw serverGone(url, error, true);
      });
      if (done) return;
      rest += decoder.decode(value, { stream: true });
      if (rest.length > mostBytes)
        throw serverGone(url, new Error(`a line of more than ${mostBytes} bytes`), true);
      let end: number;
      while ((end = rest.indexOf("\n")) >= 0) {
        const line = rest.slice(0, end).trimEnd();
        rest = rest.slice(end + 1);
        if (!line.startsWith("data:")) continue;
        const payload = line.slice(5).trimStart();
        if (payload === "[DONE]") return;
        yield parseExactJson(payload);
      }
    }
  } finally {
    // Leaving early closes the connection, which is how every engine is told to stop.
    reader.cancel().catch(() => undefined);
  }
}
