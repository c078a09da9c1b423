import { systemClock } from "@stator/core";
import { kubeconfigAccess, type KubernetesAccess } from "../kubernetes-access.ts";
import { createKubernetesClient } from "../kubernetes-client.ts";

/** For tests: a namespace of its own on a real cluster, with pods that only sleep. */
export interface TestCluster extends AsyncDisposable {
  readonly access: KubernetesAccess;
  readonly namespace: string;
  add(kind: "Deployment" | "StatefulSet", name: string, replicas: number): Promise<void>;
  /** Names of those that are not ending. */
  pods(app: string): Promise<readonly string[]>;
}

const image = process.env["STATOR_KUBE_IMAGE"] ?? "busybox:1.37";

/** @param kubeconfig path; its user may create namespaces */
export async function createTestCluster(kubeconfig: string): Promise<TestCluster> {
  const access = await kubeconfigAccess(kubeconfig);
  const client = createKubernetesClient({ ...access, clock: systemClock, timeoutMs: 30_000 });
  const namespace = `stator-planner-test-${Date.now().toString(36)}`;
  const { signal } = new AbortController();
  const create = async (path: string, body: object): Promise<void> => {
    const answer = await client.call("POST", path, body, signal);
    if (answer.status !== 201)
      throw new Error(`${path} answered ${answer.status}: ${JSON.stringify(answer.body)}`);
  };
  await create("/api/v1/namespaces", { apiVersion: "v1", kind: "Namespace", metadata: { name: namespace } });
  return {
    access,
    namespace,
    add: (kind, name, replicas) =>
      create(`/apis/apps/v1/namespaces/${namespace}/${kind.toLowerCase()}s`, {
        apiVersion: "apps/v1",
        kind,
        metadata: { name },
        spec: {
          replicas,
          ...(kind === "StatefulSet" ? { serviceName: name } : {}),
          selector: { matchLabels: { app: name } },
          template: {
            metadata: { labels: { app: name } },
            spec: {
              terminationGracePeriodSeconds: 1,
              containers: [{ name: "worker", image, command: ["sleep", "3600"] }],
            },
          },
        },
      }),
    async pods(app) {
      const { body } = await client.call(
        "GET",
        `/api/v1/namespaces/${namespace}/pods?labelSelector=app%3D${app}`,
        undefined,
        signal,
      );
      const { items } = body as { items: { metadata: { name: string; deletionTimestamp?: string } }[] };
      return items
        .filter(({ metadata }) => metadata.deletionTimestamp === undefined)
        .map(({ metadata }) => metadata.name);
    },
    async [Symbol.asyncDispose]() {
      await client.call("DELETE", `/api/v1/namespaces/${namespace}`, undefined, signal);
    },
  };
}
