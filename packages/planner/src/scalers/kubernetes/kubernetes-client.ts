import { request as httpRequest, type IncomingMessage } from "node:http";
import { request as httpsRequest } from "node:https";
import { createInterface } from "node:readline";
import { linkAbort, sleep, type Clock } from "@stator/core";
import { PlannerError } from "../../planner-error.ts";
import type { KubernetesAccess } from "./kubernetes-access.ts";

/** One answer of the API server. */
export interface KubernetesAnswer {
  readonly status: number;
  readonly body: unknown;
}

/** One line of a watch. */
export interface WatchEvent {
  readonly type: "ADDED" | "MODIFIED" | "DELETED" | "BOOKMARK" | "ERROR";
  readonly object: unknown;
}

export interface KubernetesClient {
  /** Waits and asks again on 429 (as long as `Retry-After` says) and 5xx, up to `attempts`; any other status is returned. */
  call(
    method: "GET" | "PATCH" | "POST" | "DELETE",
    path: string,
    body: unknown,
    signal: AbortSignal,
  ): Promise<KubernetesAnswer>;
  /**
   * A watch until the server ends it or the signal aborts. Idle connections are the server's to end: it is asked to by
   * `timeoutSeconds` in the path, and silence for longer than `silenceMs` ends it here. Iterate what comes back: that also
   * ends the connection.
   *
   * @throws WatchRefused with the status, where it is not even begun
   */
  watch(path: string, silenceMs: number, signal: AbortSignal): Promise<AsyncIterable<WatchEvent>>;
}

export interface KubernetesClientOptions extends KubernetesAccess {
  readonly clock: Clock;
  /** Longest wait for one answer. */
  readonly timeoutMs: number;
  /** Default 5. */
  readonly attempts?: number;
}

/** A watch or list that the server answered with another status than 200. */
export class WatchRefused extends Error {
  readonly status: number;
  readonly retryAfterMs: number | undefined;
  constructor(status: number, retryAfterMs: number | undefined) {
    super(`it answered ${status}`);
    this.status = status;
    this.retryAfterMs = retryAfterMs;
  }
}

const longestWaitMs = 10_000;

export function createKubernetesClient(options: KubernetesClientOptions): KubernetesClient {
  const { server, clock, timeoutMs, attempts = 5 } = options;

  const open = async (
    method: string,
    path: string,
    body: unknown,
    signal: AbortSignal,
  ): Promise<IncomingMessage> => {
    const url = new URL(path, server);
    const token = await options.token?.();
    const send = url.protocol === "http:" ? httpRequest : httpsRequest;
    return new Promise((resolve, reject) => {
      const sent = send(
        url,
        {
          method,
          signal,
          headers: {
            accept: "application/json",
            ...(body === undefined
              ? {}
              : {
                  "content-type": method === "PATCH" ? "application/merge-patch+json" : "application/json",
                }),
            ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
          },
          ...(options.ca === undefined ? {} : { ca: options.ca }),
          ...(options.cert === undefined ? {} : { cert: options.cert, key: options.key }),
        },
        resolve,
      );
      sent.on("error", reject);
      sent.end(body === undefined ? undefined : JSON.stringify(body));
    });
  };

  const once = async (
    method: string,
    path: string,
    body: unknown,
    parent: AbortSignal,
  ): Promise<KubernetesAnswer & { readonly retryAfterMs: number | undefined }> => {
    const { signal, abort, unlink } = linkAbort(parent);
    const timer = clock.schedule(timeoutMs, () => abort(new Error(`no answer within ${timeoutMs} ms`)));
    try {
      const response = await open(method, path, body, signal);
      let text = "";
      response.setEncoding("utf8");
      for await (const chunk of response as AsyncIterable<string>) text += chunk;
      return {
        status: response.statusCode ?? 0,
        body: bodyOf(response, text),
        retryAfterMs: retryAfterMs(response),
      };
    } finally {
      timer.cancel();
      unlink();
    }
  };

  return {
    async call(method, path, body, signal) {
      let problem = "";
      for (let attempt = 0; attempt < attempts; attempt++) {
        let waitMs = Math.min(longestWaitMs, 100 * 2 ** attempt);
        try {
          const answer = await once(method, path, body, signal);
          if (answer.status !== 429 && answer.status < 500) return answer;
          problem = `it answered ${answer.status}`;
          waitMs = Math.min(longestWaitMs, answer.retryAfterMs ?? waitMs);
        } catch (error) {
          signal.throwIfAborted();
          problem = String(error);
        }
        await sleep(clock, waitMs, signal);
      }
      throw new PlannerError({
        code: "PLANNER_SCALING_FAILED",
        kind: "unavailable",
        message: `The Kubernetes API at ${server} could not be asked for ${path}, ${attempts} times: ${problem}.`,
      });
    },

    async watch(path, silenceMs, parent) {
      const { signal, abort, unlink } = linkAbort(parent);
      const silent = (): void => abort(new Error(`the watch was silent for ${silenceMs} ms`));
      let timer = clock.schedule(silenceMs, silent);
      const end = (): void => {
        timer.cancel();
        unlink();
        abort();
      };
      let response: IncomingMessage;
      try {
        response = await open("GET", path, undefined, signal);
        if (response.statusCode !== 200)
          throw new WatchRefused(response.statusCode ?? 0, retryAfterMs(response));
      } catch (error) {
        end();
        throw error;
      }
      return (async function* lines(): AsyncGenerator<WatchEvent> {
        try {
          for await (const line of createInterface({
            input: response,
            crlfDelay: Number.POSITIVE_INFINITY,
          })) {
            timer.cancel();
            timer = clock.schedule(silenceMs, silent);
            if (line !== "") yield JSON.parse(line) as WatchEvent;
          }
        } finally {
          end();
        }
      })();
    },
  };
}

/** A group of kinds that the cluster lacks is refused in plain text, and so is much that stands before an API server. */
function bodyOf({ headers }: IncomingMessage, text: string): unknown {
  if (text === "") return undefined;
  if (headers["content-type"]?.includes("json") === false) return { message: text.trim().slice(0, 200) };
  return JSON.parse(text);
}

function retryAfterMs(response: IncomingMessage): number | undefined {
  const seconds = Number(response.headers["retry-after"]);
  return Number.isFinite(seconds) ? seconds * 1000 : undefined;
}
