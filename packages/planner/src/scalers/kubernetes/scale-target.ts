/** One object that has a `scale` subresource. */
export interface ScaleTarget {
  readonly kind: "Deployment" | "StatefulSet" | "LeaderWorkerSet";
  readonly name: string;
}

const collections: Readonly<Record<ScaleTarget["kind"], readonly [group: string, plural: string]>> = {
  Deployment: ["apps/v1", "deployments"],
  StatefulSet: ["apps/v1", "statefulsets"],
  LeaderWorkerSet: ["leaderworkerset.x-k8s.io/v1", "leaderworkersets"],
};

/** Path of the collection that holds it. */
export function collectionPath({ kind }: ScaleTarget, namespace: string): string {
  const [group, plural] = collections[kind];
  return `/apis/${group}/namespaces/${encodeURIComponent(namespace)}/${plural}`;
}

/** Path of its `scale` subresource. */
export function scalePath(target: ScaleTarget, namespace: string): string {
  return `${collectionPath(target, namespace)}/${encodeURIComponent(target.name)}/scale`;
}
