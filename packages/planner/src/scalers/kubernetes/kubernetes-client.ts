import { readFile } from "node:fs/promises";
import { request as httpRequest } from "node:http";
import { request as httpsRequest } from "node:https";
import { sleep, type Clock } from "@stator/core";
import { PlannerError } from "../../planner-error.ts";

/** Where the API server is, and how to speak to it. */
export interface KubernetesAccess {
  /** Such as `https://10.0.0.1:443`. */
  readonly server: string;
  /** Asked before each call: mounted tokens are renewed. */
  readonly token?: () => string | Promise<string>;
  /** PEM of the cluster's authority. */
  readonly ca?: string;
}

const mounted = "/var/run/secrets/kubernetes.io/serviceaccount";

/** The access that a pod has through its service account. */
export async function inClusterAccess(
  environment: Readonly<Record<string, string | undefined>>,
): Promise<KubernetesAccess> {
  return {
    server: `https://${environment["KUBERNETES_SERVICE_HOST"] ?? "kubernetes.default.svc"}:${environment["KUBERNETES_SERVICE_PORT"] ?? "443"}`,
    token: async () => (await readFile(`${mounted}/token`, "utf8")).trim(),
    ca: await readFile(`${mounted}/ca.crt`, "utf8"),
  };
}

/** One answer of the API server. */
export interface KubernetesAnswer {
  readonly status: number;
  readonly body: unknown;
}

export interface KubernetesClient {
  /** Waits and asks again on 429 and 5xx, up to `attempts`; any other status is returned. */
  call(method: "GET" | "PATCH", path: string, body: unknown, signal: AbortSignal): Promise<KubernetesAnswer>;
}

export interface KubernetesClientOptions extends KubernetesAccess {
  readonly clock: Clock;
  readonly timeoutMs: number;
  /** Default 5. */
  readonly attempts?: number;
}

const longestWaitMs = 10_000;

export function createKubernetesClient(options: KubernetesClientOptions): KubernetesClient {
  const { server, clock, timeoutMs, attempts = 5 } = options;

  const once = async (
    method: string,
    path: string,
    body: unknown,
    signal: AbortSignal,
  ): Promise<KubernetesAnswer & { readonly retryAfterMs: number | undefined }> => {
    const url = new URL(path, server);
    const token = await options.token?.();
    const send = url.protocol === "http:" ? httpRequest : httpsRequest;
    return new Promise((resolve, reject) => {
      const sent = send(
        url,
        {
          method,
          signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]),
          headers: {
            accept: "application/json",
            ...(body === undefined ? {} : { "content-type": "application/merge-patch+json" }),
            ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
          },
          ...(options.ca === undefined ? {} : { ca: options.ca }),
        },
        (response) => {
          let text = "";
          response.setEncoding("utf8");
          response.on("data", (chunk: string) => (text += chunk));
          response.on("error", reject);
          response.on("end", () => {
            const wait = Number(response.headers["retry-after"]);
            try {
              resolve({
                status: response.statusCode ?? 0,
                body: text === "" ? undefined : JSON.parse(text),
                retryAfterMs: Number.isFinite(wait) ? wait * 1000 : undefined,
              });
            } catch (error) {
              reject(error instanceof Error ? error : new Error(String(error)));
            }
          });
        },
      );
      sent.on("error", reject);
      sent.end(body === undefined ? undefined : JSON.stringify(body));
    });
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
  };
}
