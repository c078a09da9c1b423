import { createServer, type Server } from "node:http";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { afterEach, expect, test } from "vitest";
import { PlannerError } from "../../planner-error.ts";
import { kubernetesScaler } from "./kubernetes-scaler.ts";

/** Speaks the wire of an API server for deployments and their scale, with optimistic locking. */
interface StandIn {
  readonly url: string;
  readonly objects: Map<string, { replicas: number; ready: number; version: number }>;
  /** Statuses to answer the next calls with, first one first; a conflict also moves the version. */
  readonly trouble: number[];
  readonly seen: string[];
}

let server: Server | undefined;
afterEach(async () => {
  server?.close();
  server?.closeAllConnections();
  if (server !== undefined) await once(server, "close").catch(() => undefined);
  server = undefined;
});

async function standIn(): Promise<StandIn> {
  const objects: StandIn["objects"] = new Map();
  const trouble: number[] = [];
  const seen: string[] = [];
  server = createServer((request, response) => {
    let text = "";
    request.on("data", (chunk: Buffer) => (text += chunk.toString()));
    request.on("end", () => {
      seen.push(`${request.method} ${request.url}`);
      const answer = (status: number, body: unknown): void => {
        response.writeHead(status, {
          "content-type": "application/json",
          ...(status === 429 ? { "retry-after": "0" } : {}),
        });
        response.end(JSON.stringify(body));
      };
      const failure = (status: number, message: string): void =>
        answer(status, { kind: "Status", apiVersion: "v1", status: "Failure", message, code: status });
      if (request.headers.authorization !== "Bearer secret") return failure(401, "Unauthorized");
      if (trouble[0] === 429) return failure(trouble.shift()!, "too many requests");
      const [, name, scale] =
        /\/namespaces\/serving\/deployments\/([^/]+)(\/scale)?$/.exec(request.url!) ?? [];
      const object = objects.get(name ?? "");
      if (object === undefined) return failure(404, `deployments.apps "${name}" not found`);
      if (request.method === "PATCH") {
        if (request.headers["content-type"] !== "application/merge-patch+json")
          return failure(415, "unsupported media type");
        if (trouble[0] === 409) {
          trouble.shift();
          object.version += 1;
        }
        const patch = JSON.parse(text) as {
          metadata?: { resourceVersion?: string };
          spec: { replicas: number };
        };
        if (patch.metadata?.resourceVersion !== String(object.version))
          return failure(
            409,
            "the object has been modified; please apply your changes to the latest version",
          );
        object.replicas = patch.spec.replicas;
        object.version += 1;
      }
      answer(200, {
        kind: scale === undefined ? "Deployment" : "Scale",
        metadata: { name, resourceVersion: String(object.version) },
        spec: { replicas: object.replicas },
        status: scale === undefined ? { readyReplicas: object.ready } : { replicas: object.replicas },
      });
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, objects, trouble, seen };
}

const { signal } = new AbortController();
const scalerFor = (url: string, token = "secret") =>
  kubernetesScaler({
    access: { server: url, token: () => token },
    namespace: "serving",
    prefill: { kind: "Deployment", name: "prefill" },
    decode: { kind: "Deployment", name: "decode" },
  });

test("reads targets and ready pods, and patches only the scale subresource", async () => {
  const { url, objects, seen } = await standIn();
  objects.set("prefill", { replicas: 2, ready: 1, version: 7 });
  objects.set("decode", { replicas: 3, ready: 3, version: 1 });
  const scaler = scalerFor(url);
  expect(await scaler.state(signal)).toEqual({
    target: { prefill: 2, decode: 3 },
    ready: { prefill: 1, decode: 3 },
  });
  await scaler.scale({ prefill: 4, decode: 2 }, signal);
  expect([objects.get("prefill")!.replicas, objects.get("decode")!.replicas]).toEqual([4, 2]);
  const patches = seen.filter((call) => call.startsWith("PATCH"));
  expect(patches.map((call) => call.split("/").slice(-2).join("/"))).toEqual([
    "decode/scale",
    "prefill/scale",
  ]);
});

test("a conflict is read again and tried again; 429 waits as told", async () => {
  const { url, objects, trouble } = await standIn();
  objects.set("prefill", { replicas: 1, ready: 1, version: 1 });
  objects.set("decode", { replicas: 1, ready: 1, version: 1 });
  const scaler = scalerFor(url);
  trouble.push(429, 429);
  await scaler.state(signal);
  trouble.push(409, 409);
  await scaler.scale({ prefill: 1, decode: 5 }, signal);
  expect(objects.get("decode")!.replicas).toBe(5);
});

test("what may not be done or is not there is said", async () => {
  const { url, objects } = await standIn();
  objects.set("prefill", { replicas: 1, ready: 1, version: 1 });
  await expect(scalerFor(url).state(signal)).rejects.toMatchObject({
    code: "PLANNER_SCALING_FAILED",
    kind: "notFound",
  });
  const error = await scalerFor(url, "wrong")
    .state(signal)
    .catch((caught: unknown) => caught);
  expect(PlannerError.isInstance(error)).toBe(true);
  expect(error).toMatchObject({ kind: "unauthorized" });
});
