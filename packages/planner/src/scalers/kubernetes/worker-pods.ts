import type { KubernetesClient } from "./kubernetes-client.ts";
import type { KubernetesObject } from "./watched-objects.ts";

/** The parts of a pod that scaling looks at. */
export interface Pod extends KubernetesObject {
  readonly status?: {
    readonly phase?: string;
    readonly conditions?: readonly {
      readonly type: string;
      readonly status: string;
      readonly reason?: string;
    }[];
  };
}

/** What Kubernetes' ReplicaSet controller reads when it chooses which pods go: least first. */
export const deletionCost = "controller.kubernetes.io/pod-deletion-cost";

/** Of pods that should go first. Others have none, which counts as 0. */
const firstToGo = "-100";

/** Serves: its readiness probe passes and nobody asked it to end. */
export function isReady(pod: Pod): boolean {
  return (
    pod.metadata.deletionTimestamp === undefined &&
    pod.status?.conditions?.some(({ type, status }) => type === "Ready" && status === "True") === true
  );
}

/** Waits for a node that has room, and may wait for ever. */
export function isUnschedulable(pod: Pod): boolean {
  return (
    pod.metadata.deletionTimestamp === undefined &&
    pod.status?.conditions?.some(
      ({ type, status, reason }) =>
        type === "PodScheduled" && status === "False" && reason === "Unschedulable",
    ) === true
  );
}

/** The ready pods with least load, as many as go beyond those that are not ready, which Kubernetes takes first. */
export function podsToGo(
  pods: readonly Pod[],
  removals: number,
  loads: ReadonlyMap<string, number>,
): readonly Pod[] {
  const live = pods.filter(({ metadata }) => metadata.deletionTimestamp === undefined);
  const ready = live.filter(isReady);
  const fromReady = Math.max(0, Math.min(ready.length, removals - (live.length - ready.length)));
  const loadOf = ({ metadata }: Pod): number => loads.get(metadata.name) ?? Number.POSITIVE_INFINITY;
  return [...ready].sort((a, b) => loadOf(a) - loadOf(b)).slice(0, fromReady);
}

/**
 * Marks these pods as the first to go and takes the mark off all others. A pod that is gone meanwhile needs none.
 *
 * @returns the status that refused it, if one did
 */
export async function markFirstToGo(
  client: KubernetesClient,
  namespace: string,
  pods: readonly Pod[],
  chosen: readonly Pod[],
  signal: AbortSignal,
): Promise<number | undefined> {
  const names = new Set(chosen.map(({ metadata }) => metadata.name));
  for (const { metadata } of pods) {
    const wanted = names.has(metadata.name) ? firstToGo : undefined;
    const now = metadata.annotations?.[deletionCost];
    if (now === wanted || (wanted === undefined && now !== firstToGo)) continue;
    const { status } = await client.call(
      "PATCH",
      `/api/v1/namespaces/${encodeURIComponent(namespace)}/pods/${encodeURIComponent(metadata.name)}`,
      { metadata: { annotations: { [deletionCost]: wanted ?? null } } },
      signal,
    );
    if (status !== 200 && status !== 404) return status;
  }
  return undefined;
}
