import { request as httpRequest, type Agent, type ClientRequest, type IncomingMessage } from "node:http";
import { request as httpsRequest } from "node:https";

export interface SseRequest {
  readonly url: URL;
  readonly body: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly agent: Agent;
  readonly timeoutMs: number;
  /** Requests under way: whoever ends the run destroys them. A listener each on one signal would cost too much. */
  readonly open: Set<ClientRequest>;
  readonly onEvent: (payload: string, atMs: number) => void;
}

/** One POST whose answer is server-sent events. Resolves with the status, and the body when it is not 200. */
export function sseRequest(options: SseRequest): Promise<{ status: number; error: string | undefined }> {
  const { url, body, open } = options;
  const send = url.protocol === "https:" ? httpsRequest : httpRequest;
  return new Promise((resolve, reject) => {
    const request = send(
      url,
      {
        method: "POST",
        agent: options.agent,
        timeout: options.timeoutMs,
        headers: {
          "content-type": "application/json",
          "content-length": Buffer.byteLength(body),
          ...options.headers,
        },
      },
      (response) => {
        const status = response.statusCode ?? 0;
        if (status !== 200) {
          readText(response).then((error) => resolve({ status, error }), reject);
          return;
        }
        readEvents(response, options.onEvent).then(() => resolve({ status, error: undefined }), reject);
      },
    );
    open.add(request);
    request.on("close", () => open.delete(request));
    request.on("timeout", () => request.destroy(new Error(`no answer for ${options.timeoutMs} ms`)));
    request.on("error", reject);
    request.end(body);
  });
}

async function readText(response: IncomingMessage): Promise<string> {
  let text = "";
  for await (const chunk of response) text += String(chunk);
  return text;
}

async function readEvents(response: IncomingMessage, onEvent: SseRequest["onEvent"]): Promise<void> {
  response.setEncoding("utf8");
  let rest = "";
  for await (const chunk of response) {
    const atMs = performance.now();
    rest += String(chunk);
    let end: number;
    while ((end = rest.indexOf("\n\n")) >= 0) {
      const event = rest.slice(0, end);
      rest = rest.slice(end + 2);
      if (event.startsWith("data: ")) onEvent(event.slice(6), atMs);
    }
  }
}
