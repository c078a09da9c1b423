import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { deletionCost, isReady, type Pod } from "../worker-pods.ts";

/** A rule of a Role, as the manifest has it. */
export interface RoleRule {
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly verbs: readonly string[];
}

/**
 * For tests: the wire of a Kubernetes API server for Deployments, StatefulSets, LeaderWorkerSets, their scale, and pods,
 * with the controllers that make pods out of replicas. Resource versions, optimistic locking, lists, watches with
 * bookmarks, compaction (410 Gone), flow control (429) and RBAC answer as the real one does.
 */
export interface ApiServerStandIn extends AsyncDisposable {
  readonly url: string;
  /** "verb group/resource" of every call that was allowed or refused. */
  readonly used: Set<string>;
  readonly requests: readonly string[];
  /** Pods that have room on nodes. Default all. */
  rooms: number;
  add(kind: string, name: string, replicas: number): void;
  replicas(name: string): number;
  /** Somebody else scales. */
  setReplicas(name: string, replicas: number): void;
  pods(owner: string): readonly Pod[];
  /** Its process ended in answer to SIGTERM. */
  ended(pod: string): void;
  becomeReady(owner: string): void;
  /** Forgets all versions but the newest: watches from older ones get 410. */
  compact(): void;
  /** Answers the next calls that this matches with a status. */
  fail(matching: RegExp, status: number, retryAfterSeconds?: number): void;
  /** Ends all watches, politely or by cutting the connection. */
  endWatches(how: "end" | "cut" | "gone"): void;
  bookmark(): void;
}

interface Entry {
  readonly plural: string;
  object: Record<string, unknown> & {
    metadata: Record<string, unknown> & { name: string; resourceVersion: string };
  };
}

interface Change {
  readonly version: number;
  readonly type: "ADDED" | "MODIFIED" | "DELETED";
  readonly entry: Entry;
  readonly object: Entry["object"];
}

interface OpenWatch {
  readonly response: ServerResponse;
  readonly plural: string;
  readonly matches: (object: Entry["object"]) => boolean;
}

const plurals: Readonly<Record<string, string>> = {
  Deployment: "deployments",
  StatefulSet: "statefulsets",
  LeaderWorkerSet: "leaderworkersets",
};

export async function createApiServerStandIn(options: {
  readonly rules: readonly RoleRule[];
  readonly namespace: string;
  readonly token: string;
}): Promise<ApiServerStandIn> {
  let version = 100;
  let compacted = 0;
  let made = 0;
  const entries = new Map<string, Entry>();
  const history: Change[] = [];
  const watches = new Set<OpenWatch>();
  const used = new Set<string>();
  const requests: string[] = [];
  const failures: { matching: RegExp; status: number; retryAfter: number | undefined }[] = [];

  const record = (type: Change["type"], entry: Entry): void => {
    version += 1;
    entry.object.metadata.resourceVersion = String(version);
    const object = structuredClone(entry.object);
    history.push({ version, type, entry, object });
    for (const watch of watches)
      if (watch.plural === entry.plural && watch.matches(object))
        watch.response.write(`${JSON.stringify({ type, object })}\n`);
  };
  const get = (name: string): Entry =>
    [...entries.values()].find(({ object }) => object.metadata.name === name)!;
  const podEntries = (owner: string): Entry[] =>
    [...entries.values()].filter(
      ({ plural, object }) =>
        plural === "pods" && (object.metadata["labels"] as Record<string, string>)["app"] === owner,
    );
  const live = (owner: string): Entry[] =>
    podEntries(owner).filter(({ object }) => object.metadata["deletionTimestamp"] === undefined);
  const podOf = ({ object }: Entry): Pod => object as unknown as Pod;

  /** The controllers: pods follow replicas, the ones that cost least to delete go, and they go by draining. */
  const reconcile = (name: string): void => {
    const owner = get(name);
    const wanted = (owner.object["spec"] as { replicas: number }).replicas;
    const rank = (entry: Entry): number =>
      (isReady(podOf(entry)) ? 1e9 : 0) + Number(podOf(entry).metadata.annotations?.[deletionCost] ?? 0);
    const victims =
      owner.plural === "deployments" ? live(name).sort((a, b) => rank(a) - rank(b)) : live(name).reverse();
    for (const victim of victims.slice(0, Math.max(0, live(name).length - wanted))) {
      const wasReady = isReady(podOf(victim));
      victim.object.metadata["deletionTimestamp"] = "2026-01-01T00:00:00Z";
      record("MODIFIED", victim);
      if (!wasReady) remove(victim);
    }
    while (live(name).length < wanted) {
      const hasRoom = [...entries.values()].filter(({ plural }) => plural === "pods").length < standIn.rooms;
      const pod: Entry = {
        plural: "pods",
        object: {
          kind: "Pod",
          metadata: { name: `${name}-${made++}`, resourceVersion: "0", labels: { app: name } },
          status: {
            phase: "Pending",
            conditions: hasRoom
              ? [{ type: "Ready", status: "False" }]
              : [{ type: "PodScheduled", status: "False", reason: "Unschedulable" }],
          },
        },
      };
      entries.set(`pods/${pod.object.metadata.name}`, pod);
      record("ADDED", pod);
    }
    updateStatus(name);
  };
  const updateStatus = (name: string): void => {
    const owner = get(name);
    const readyReplicas = live(name).filter((entry) => isReady(podOf(entry))).length;
    if ((owner.object["status"] as { readyReplicas: number }).readyReplicas === readyReplicas) return;
    owner.object["status"] = { readyReplicas };
    record("MODIFIED", owner);
  };
  const remove = (entry: Entry): void => {
    entries.delete(`pods/${entry.object.metadata.name}`);
    record("DELETED", entry);
  };
  const scaleTo = (entry: Entry, replicas: number): void => {
    entry.object["spec"] = { ...(entry.object["spec"] as object), replicas };
    record("MODIFIED", entry);
    reconcile(entry.object.metadata.name);
  };

  const handle = (request: IncomingMessage, text: string, response: ServerResponse): void => {
    const url = new URL(request.url!, "http://api");
    requests.push(`${request.method} ${request.url}`);
    const answer = (status: number, body: unknown, headers: Record<string, string> = {}): void => {
      response.writeHead(status, { "content-type": "application/json", ...headers });
      response.end(JSON.stringify(body));
    };
    const failed = (code: number, message: string, headers?: Record<string, string>): void =>
      answer(code, { kind: "Status", apiVersion: "v1", status: "Failure", message, code }, headers);
    if (request.headers.authorization !== `Bearer ${options.token}`) return failed(401, "Unauthorized");
    const parts =
      /^\/(?:api\/v1|apis\/([^/]+)\/v1)\/namespaces\/([^/]+)\/([^/]+)(?:\/([^/]+))?(?:\/([^/]+))?$/.exec(
        url.pathname,
      );
    if (parts === null || parts[2] !== options.namespace) return failed(404, "the server could not find it");
    const [, group = "", , plural = "", name, subresource] = parts;
    const isWatch = url.searchParams.get("watch") === "true";
    const verb =
      request.method === "GET"
        ? name !== undefined
          ? "get"
          : isWatch
            ? "watch"
            : "list"
        : request.method!.toLowerCase();
    const resource = subresource === undefined ? plural : `${plural}/${subresource}`;
    used.add(`${verb} ${group}/${resource}`);
    const isAllowed = options.rules.some(
      (rule) =>
        rule.apiGroups.includes(group) && rule.resources.includes(resource) && rule.verbs.includes(verb),
    );
    if (!isAllowed) return failed(403, `cannot ${verb} resource "${resource}" in API group "${group}"`);
    const trouble = failures.findIndex(({ matching }) => matching.test(`${request.method} ${request.url}`));
    if (trouble >= 0) {
      const [{ status, retryAfter }] = failures.splice(trouble, 1) as [(typeof failures)[number]];
      return failed(status, "trouble", retryAfter === undefined ? {} : { "retry-after": String(retryAfter) });
    }

    const field = /^metadata\.name=(.+)$/.exec(url.searchParams.get("fieldSelector") ?? "")?.[1];
    const label = /^app=(.+)$/.exec(url.searchParams.get("labelSelector") ?? "")?.[1];
    const matches = ({ metadata }: Entry["object"]): boolean =>
      (field === undefined || metadata.name === field) &&
      (label === undefined || (metadata["labels"] as Record<string, string> | undefined)?.["app"] === label);
    if (name === undefined) {
      const from = url.searchParams.get("resourceVersion");
      if (!isWatch)
        return answer(200, {
          kind: "List",
          metadata: { resourceVersion: String(version) },
          items: [...entries.values()]
            .filter((entry) => entry.plural === plural && matches(entry.object))
            .map(({ object }) => object),
        });
      if (Number(from) < compacted) return failed(410, "too old resource version");
      response.writeHead(200, { "content-type": "application/json" });
      response.flushHeaders();
      for (const change of history)
        if (change.version > Number(from) && change.entry.plural === plural && matches(change.object))
          response.write(`${JSON.stringify({ type: change.type, object: change.object })}\n`);
      const watch: OpenWatch = { response, plural, matches };
      watches.add(watch);
      response.on("close", () => watches.delete(watch));
      return;
    }

    const entry = entries.get(`${plural}/${name}`);
    if (entry === undefined) return failed(404, `${plural} "${name}" not found`);
    const { object } = entry;
    const scale = (): object => ({
      kind: "Scale",
      apiVersion: "autoscaling/v1",
      metadata: { name, resourceVersion: object.metadata.resourceVersion },
      spec: { replicas: (object["spec"] as { replicas: number }).replicas },
      status: { replicas: live(name).length, selector: `app=${name}` },
    });
    if (verb === "get") return answer(200, subresource === "scale" ? scale() : object);
    if (request.headers["content-type"] !== "application/merge-patch+json")
      return failed(415, "unsupported media type");
    const patch = JSON.parse(text) as {
      metadata?: { resourceVersion?: string; annotations?: Record<string, string | null> };
      spec?: { replicas: number };
    };
    const asked = patch.metadata?.resourceVersion;
    if (asked !== undefined && asked !== object.metadata.resourceVersion)
      return failed(409, "the object has been modified; please apply your changes to the latest version");
    if (subresource === "scale") {
      scaleTo(entry, patch.spec!.replicas);
      return answer(200, scale());
    }
    const annotations = { ...(object.metadata["annotations"] as Record<string, string> | undefined) };
    for (const [key, value] of Object.entries(patch.metadata?.annotations ?? {}))
      if (value === null) delete annotations[key];
      else annotations[key] = value;
    object.metadata["annotations"] = annotations;
    record("MODIFIED", entry);
    answer(200, object);
  };

  const server = createServer((request, response) => {
    let text = "";
    request.on("data", (chunk: Buffer) => (text += chunk.toString()));
    request.on("end", () => handle(request, text, response));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");

  const standIn: ApiServerStandIn = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    used,
    requests,
    rooms: Number.POSITIVE_INFINITY,
    add(kind, name, replicas) {
      const entry: Entry = {
        plural: plurals[kind]!,
        object: {
          kind,
          metadata: { name, resourceVersion: "0" },
          spec: { replicas },
          status: { readyReplicas: 0 },
        },
      };
      entries.set(`${entry.plural}/${name}`, entry);
      record("ADDED", entry);
      reconcile(name);
      standIn.becomeReady(name);
    },
    replicas: (name) => (get(name).object["spec"] as { replicas: number }).replicas,
    setReplicas: (name, replicas) => scaleTo(get(name), replicas),
    pods: (owner) => podEntries(owner).map(podOf),
    ended: (pod) => remove(entries.get(`pods/${pod}`)!),
    becomeReady(owner) {
      for (const entry of live(owner)) {
        const { conditions } = entry.object["status"] as { conditions: { reason?: string }[] };
        if (isReady(podOf(entry)) || conditions.some(({ reason }) => reason === "Unschedulable")) continue;
        entry.object["status"] = { phase: "Running", conditions: [{ type: "Ready", status: "True" }] };
        record("MODIFIED", entry);
      }
      updateStatus(owner);
    },
    compact() {
      compacted = version;
      history.length = 0;
    },
    fail: (matching, status, retryAfter) => void failures.push({ matching, status, retryAfter }),
    endWatches(how) {
      for (const { response } of watches) {
        if (how === "cut") response.destroy();
        else if (how === "end") response.end();
        else
          response.end(
            `${JSON.stringify({ type: "ERROR", object: { kind: "Status", code: 410, reason: "Expired" } })}\n`,
          );
      }
      watches.clear();
    },
    bookmark() {
      for (const { response } of watches)
        response.write(
          `${JSON.stringify({ type: "BOOKMARK", object: { metadata: { name: "", resourceVersion: String(version) } } })}\n`,
        );
    },
    async [Symbol.asyncDispose]() {
      server.close();
      server.closeAllConnections();
      await once(server, "close").catch(() => undefined);
    },
  };
  return standIn;
}
