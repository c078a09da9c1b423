import { systemClock, type Clock } from "@stator/core";
import { PlannerError } from "../../planner-error.ts";
import type { Scaler } from "../scaler.ts";
import { createKubernetesClient, type KubernetesAccess } from "./kubernetes-client.ts";

/** One object that has a `scale` subresource. */
export interface ScaleTarget {
  readonly kind: "Deployment" | "StatefulSet" | "LeaderWorkerSet";
  readonly name: string;
}

export interface KubernetesScalerOptions {
  readonly access: KubernetesAccess;
  readonly namespace: string;
  /** Absent in an aggregated graph. */
  readonly prefill?: ScaleTarget;
  readonly decode: ScaleTarget;
  /** Longest wait for one answer. Default 10,000 ms. */
  readonly timeoutMs?: number;
  readonly clock?: Clock;
}

const groups: Readonly<Record<ScaleTarget["kind"], string>> = {
  Deployment: "apis/apps/v1/namespaces/{}/deployments",
  StatefulSet: "apis/apps/v1/namespaces/{}/statefulsets",
  LeaderWorkerSet: "apis/leaderworkerset.x-k8s.io/v1/namespaces/{}/leaderworkersets",
};
const conflictTries = 5;

interface ScaleObject {
  readonly metadata?: { readonly resourceVersion?: string };
  readonly spec?: { readonly replicas?: number };
}

/**
 * Scales through the `scale` subresource, which needs no right to change anything else of an object (`rbac.yaml` in this
 * package). A patch carries the resource version that was read: when somebody else changed the object meanwhile (409) it
 * is read again first. Ready is what the object's status says, so that pending pods count as starting. Pods that go are
 * drained by their own SIGTERM: give them a `terminationGracePeriodSeconds` as long as a request.
 */
export function kubernetesScaler(options: KubernetesScalerOptions): Scaler {
  const client = createKubernetesClient({
    ...options.access,
    clock: options.clock ?? systemClock,
    timeoutMs: options.timeoutMs ?? 10_000,
  });
  const pathOf = ({ kind, name }: ScaleTarget): string =>
    `/${groups[kind].replace("{}", encodeURIComponent(options.namespace))}/${encodeURIComponent(name)}`;

  const read = async (target: ScaleTarget, suffix: string, signal: AbortSignal): Promise<unknown> => {
    const { status, body } = await client.call("GET", pathOf(target) + suffix, undefined, signal);
    if (status !== 200) throw refused(target, status, body);
    return body;
  };
  const countsOf = async (
    target: ScaleTarget | undefined,
    signal: AbortSignal,
  ): Promise<{ target: number; ready: number }> => {
    if (target === undefined) return { target: 0, ready: 0 };
    const object = (await read(target, "", signal)) as {
      spec?: { replicas?: number };
      status?: { readyReplicas?: number };
    };
    return { target: object.spec?.replicas ?? 1, ready: object.status?.readyReplicas ?? 0 };
  };
  const set = async (target: ScaleTarget, replicas: number, signal: AbortSignal): Promise<void> => {
    for (let attempt = 0; attempt < conflictTries; attempt++) {
      const scale = (await read(target, "/scale", signal)) as ScaleObject;
      if (scale.spec?.replicas === replicas) return;
      const version = scale.metadata?.resourceVersion;
      const { status, body } = await client.call(
        "PATCH",
        `${pathOf(target)}/scale`,
        {
          ...(version === undefined ? {} : { metadata: { resourceVersion: version } }),
          spec: { replicas },
        },
        signal,
      );
      if (status === 200) return;
      if (status !== 409) throw refused(target, status, body);
    }
    throw refused(target, 409, {
      message: `it was changed by somebody else ${conflictTries} times in a row`,
    });
  };

  return {
    async state(signal) {
      const [prefill, decode] = await Promise.all([
        countsOf(options.prefill, signal),
        countsOf(options.decode, signal),
      ]);
      return {
        target: { prefill: prefill.target, decode: decode.target },
        ready: { prefill: prefill.ready, decode: decode.ready },
      };
    },
    async scale(wanted, signal) {
      // Less first: within a tight budget what grows may need the GPUs of what shrinks.
      const { target: now } = await this.state(signal);
      const changes = [
        ...(options.prefill === undefined
          ? []
          : [{ target: options.prefill, to: wanted.prefill, change: wanted.prefill - now.prefill }]),
        { target: options.decode, to: wanted.decode, change: wanted.decode - now.decode },
      ].sort((a, b) => a.change - b.change);
      for (const { target, to } of changes) await set(target, to, signal);
    },
  };
}

function refused(target: ScaleTarget, status: number, body: unknown): PlannerError {
  const message = (body as { message?: string } | undefined)?.message ?? "no reason given";
  return new PlannerError({
    code: "PLANNER_SCALING_FAILED",
    kind: status === 403 || status === 401 ? "unauthorized" : status === 404 ? "notFound" : "unavailable",
    message: `Kubernetes refused ${target.kind} ${target.name} (${status}): ${message}.`,
    data: { status },
  });
}
