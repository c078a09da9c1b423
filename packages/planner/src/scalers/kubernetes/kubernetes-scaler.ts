import { systemClock, type Clock } from "@stator/core";
import type { Workers } from "../../decision/types.ts";
import { PlannerError } from "../../planner-error.ts";
import type { Scaler, ScalerState } from "../scaler.ts";
import type { KubernetesAccess } from "./kubernetes-access.ts";
import { createKubernetesClient, WatchRefused, type KubernetesClient } from "./kubernetes-client.ts";
import { collectionPath, scalePath, type ScaleTarget } from "./scale-target.ts";
import { watchObjects, type KubernetesObject, type WatchedObjects } from "./watched-objects.ts";
import { isReady, isUnschedulable, markFirstToGo, podsToGo, type Pod } from "./worker-pods.ts";

export interface KubernetesScalerOptions {
  readonly access: KubernetesAccess;
  readonly namespace: string;
  /** Absent in an aggregated graph. */
  readonly prefill?: ScaleTarget;
  readonly decode: ScaleTarget;
  /**
   * What each worker has to do now, by the name of its pod: when a Deployment shrinks the emptiest go. Pods that are not
   * named count as full. Default: Kubernetes chooses.
   */
  readonly loads?: (signal: AbortSignal) => Promise<ReadonlyMap<string, number>>;
  /** Longest wait for one answer. Default 10,000 ms. */
  readonly timeoutMs?: number;
  /** How long the server keeps a watch open. Default 300 s. */
  readonly watchSeconds?: number;
  readonly clock?: Clock;
}

/** A scaler with watches to end. */
export interface KubernetesScaler extends Scaler, AsyncDisposable {
  close(): Promise<void>;
}

const conflictTries = 5;

interface Scalable extends KubernetesObject {
  readonly spec?: { readonly replicas?: number };
  readonly status?: { readonly readyReplicas?: number };
}

interface ScaleObject {
  readonly metadata?: { readonly resourceVersion?: string };
  readonly spec?: { readonly replicas?: number };
  readonly status?: { readonly selector?: string };
}

interface Watched {
  readonly target: ScaleTarget;
  readonly object: WatchedObjects<Scalable>;
  readonly pods: WatchedObjects<Pod> | undefined;
  /** What was ordered when the object had this version: until a newer one is seen it counts. */
  ordered?: { readonly replicas: number; readonly atVersion: string };
}

/**
 * Scales through the `scale` subresource, which needs no right to change anything else of an object (`rbac.yaml` in this
 * package has all that is needed). Objects and their pods are watched, not asked for: ready pods serve, others count as
 * starting, those that no node has room for as stuck, those that are ending as gone. A patch carries the resource version
 * that was read: when somebody else changed the object meanwhile (409) it is read again first. Pods that go are drained by
 * their own SIGTERM: give them a `terminationGracePeriodSeconds` as long as a request. Of a Deployment the emptiest go
 * (`loads`), by the annotation `controller.kubernetes.io/pod-deletion-cost`; StatefulSets and LeaderWorkerSets always give
 * up the highest ordinals.
 */
export function kubernetesScaler(options: KubernetesScalerOptions): KubernetesScaler {
  const { namespace, clock = systemClock } = options;
  const client = createKubernetesClient({ ...options.access, clock, timeoutMs: options.timeoutMs ?? 10_000 });
  const watching = new Map<keyof Workers, Promise<Watched>>();
  const targets = { prefill: options.prefill, decode: options.decode };

  const begin = async (target: ScaleTarget, signal: AbortSignal): Promise<Watched> => {
    const selector = (await readScale(client, target, namespace, signal)).status?.selector;
    const watch = {
      client,
      clock,
      ...(options.watchSeconds === undefined ? {} : { watchSeconds: options.watchSeconds }),
    };
    return {
      target,
      object: watchObjects<Scalable>({
        ...watch,
        path: collectionPath(target, namespace),
        query: { fieldSelector: `metadata.name=${target.name}` },
      }),
      // A replica of a LeaderWorkerSet is a group of pods: only its own status knows when one is ready.
      pods:
        target.kind === "LeaderWorkerSet" || selector === undefined || selector === ""
          ? undefined
          : watchObjects<Pod>({
              ...watch,
              path: `/api/v1/namespaces/${encodeURIComponent(namespace)}/pods`,
              query: { labelSelector: selector },
            }),
    };
  };

  const watched = async (role: keyof Workers, signal: AbortSignal): Promise<Watched | undefined> => {
    const target = targets[role];
    if (target === undefined) return undefined;
    let began = watching.get(role);
    if (began === undefined) {
      watching.set(role, (began = begin(target, signal)));
      // Asked again next time.
      began.catch(() => watching.delete(role));
    }
    return began;
  };

  const countsOf = async (
    role: keyof Workers,
    signal: AbortSignal,
  ): Promise<Record<"target" | "ready" | "stuck", number>> => {
    const one = await watched(role, signal);
    if (one === undefined) return { target: 0, ready: 0, stuck: 0 };
    try {
      const [object] = await one.object.all(signal);
      if (object === undefined) throw new WatchRefused(404, undefined);
      const pods = await one.pods?.all(signal);
      const isOwnOrder = one.ordered?.atVersion === object.metadata.resourceVersion;
      return {
        target: isOwnOrder ? one.ordered!.replicas : (object.spec?.replicas ?? 1),
        ready: pods === undefined ? (object.status?.readyReplicas ?? 0) : pods.filter(isReady).length,
        stuck: pods?.filter(isUnschedulable).length ?? 0,
      };
    } catch (error) {
      signal.throwIfAborted();
      if (PlannerError.isInstance(error)) throw error;
      throw refused(one.target, error instanceof WatchRefused ? error.status : 0, { message: String(error) });
    }
  };

  const set = async (role: keyof Workers, replicas: number, signal: AbortSignal): Promise<void> => {
    const one = (await watched(role, signal))!;
    const { target } = one;
    for (let attempt = 0; attempt < conflictTries; attempt++) {
      const scale = await readScale(client, target, namespace, signal);
      const now = scale.spec?.replicas ?? 1;
      if (now === replicas) return;
      if (replicas < now && target.kind === "Deployment") await chooseWhoGoes(one, now - replicas, signal);
      const version = scale.metadata?.resourceVersion;
      const [object] = await one.object.all(signal);
      const { status, body } = await client.call(
        "PATCH",
        scalePath(target, namespace),
        {
          ...(version === undefined ? {} : { metadata: { resourceVersion: version } }),
          spec: { replicas },
        },
        signal,
      );
      if (status === 200) {
        if (object !== undefined) one.ordered = { replicas, atVersion: object.metadata.resourceVersion };
        return;
      }
      if (status !== 409) throw refused(target, status, body);
    }
    throw refused(target, 409, {
      message: `it was changed by somebody else ${conflictTries} times in a row`,
    });
  };

  const chooseWhoGoes = async (one: Watched, removals: number, signal: AbortSignal): Promise<void> => {
    if (options.loads === undefined || one.pods === undefined) return;
    const pods = await one.pods.all(signal);
    const chosen = podsToGo(pods, removals, await options.loads(signal));
    const status = await markFirstToGo(client, namespace, pods, chosen, signal);
    if (status !== undefined)
      throw refused(one.target, status, { message: "its pods could not be annotated with a deletion cost" });
  };

  const scaler: KubernetesScaler = {
    async state(signal): Promise<ScalerState> {
      const [prefill, decode] = await Promise.all([countsOf("prefill", signal), countsOf("decode", signal)]);
      return {
        target: { prefill: prefill.target, decode: decode.target },
        ready: { prefill: prefill.ready, decode: decode.ready },
        stuck: { prefill: prefill.stuck, decode: decode.stuck },
      };
    },
    async scale(wanted, signal) {
      const { target: now } = await scaler.state(signal);
      // Less first: within a tight budget what grows may need the GPUs of what shrinks.
      const roles = (["prefill", "decode"] as const)
        .filter((role) => targets[role] !== undefined)
        .sort((a, b) => wanted[a] - now[a] - (wanted[b] - now[b]));
      for (const role of roles) await set(role, wanted[role], signal);
    },
    async close() {
      const all = await Promise.allSettled(watching.values());
      watching.clear();
      for (const one of all) {
        if (one.status === "rejected") continue;
        await one.value.object.close();
        await one.value.pods?.close();
      }
    },
    [Symbol.asyncDispose]: () => scaler.close(),
  };
  return scaler;
}

async function readScale(
  client: KubernetesClient,
  target: ScaleTarget,
  namespace: string,
  signal: AbortSignal,
): Promise<ScaleObject> {
  const { status, body } = await client.call("GET", scalePath(target, namespace), undefined, signal);
  if (status !== 200) throw refused(target, status, body);
  return body as ScaleObject;
}

function refused(target: ScaleTarget, status: number, body: unknown): PlannerError {
  const message = (body as { message?: string } | undefined)?.message ?? "no reason given";
  const advice =
    status === 401 || status === 403
      ? " Apply rbac.yaml of @stator/planner in this namespace and run the planner as its service account"
      : status === 404
        ? " Mend name, kind or namespace of the scaler"
        : "";
  return new PlannerError({
    code: "PLANNER_SCALING_FAILED",
    kind: status === 403 || status === 401 ? "unauthorized" : status === 404 ? "notFound" : "unavailable",
    message: `Kubernetes refused ${target.kind} ${target.name}${status === 0 ? "" : ` (${status})`}: ${message.replace(/\.$/, "")}.${advice}`,
    data: { status },
  });
}
