import { systemClock } from "@stator/core";
import { kubeconfigAccess, type KubernetesAccess } from "../kubernetes-access.ts";
import { createKubernetesClient } from "../kubernetes-client.ts";
import { collectionPath, type ScaleTarget } from "../scale-target.ts";

/** For tests: a namespace of its own on a real cluster, with pods that only sleep. */
export interface TestCluster extends AsyncDisposable {
  readonly access: KubernetesAccess;
  readonly namespace: string;
  /** @param gpus that each pod asks for; default none */
  add(target: ScaleTarget, replicas: number, gpus?: number): Promise<void>;
  /** Makes the objects of a manifest, and says how to log in as its service account. */
  grant(manifest: readonly Manifest[]): Promise<KubernetesAccess>;
  /** Somebody else scales. */
  setReplicas(target: ScaleTarget, replicas: number): Promise<void>;
  /** Names of those that are not ending. */
  pods(app: string): Promise<readonly string[]>;
  /** Whether the API server knows objects of this kind. */
  serves(kind: ScaleTarget["kind"]): Promise<boolean>;
}

/** One object as the API takes it. */
export interface Manifest {
  readonly kind: string;
  readonly metadata: { readonly name: string };
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
  const call = async (method: "GET" | "PATCH", path: string, body?: unknown): Promise<unknown> => {
    const answer = await client.call(method, path, body, signal);
    if (answer.status !== 200) throw new Error(`${path} answered ${answer.status}`);
    return answer.body;
  };
  const rbac = `/apis/rbac.authorization.k8s.io/v1/namespaces/${namespace}`;
  const core = `/api/v1/namespaces/${namespace}`;
  const pathOf: Readonly<Record<string, string>> = {
    ServiceAccount: `${core}/serviceaccounts`,
    Role: `${rbac}/roles`,
    RoleBinding: `${rbac}/rolebindings`,
  };
  return {
    access,
    namespace,
    add: (target, replicas, gpus = 0) =>
      create(collectionPath(target, namespace), manifestOf(target, replicas, gpus)),
    async grant(manifest) {
      for (const each of manifest) await create(pathOf[each.kind]!, each);
      const { name } = manifest.find(({ kind }) => kind === "ServiceAccount")!.metadata;
      const { body } = await client.call(
        "POST",
        `${core}/serviceaccounts/${name}/token`,
        { spec: {} },
        signal,
      );
      const { token } = (body as { status: { token: string } }).status;
      const { server, ca } = access;
      return { server, token: () => token, ...(ca === undefined ? {} : { ca }) };
    },
    async setReplicas(target, replicas) {
      await call("PATCH", `${collectionPath(target, namespace)}/${target.name}`, { spec: { replicas } });
    },
    async pods(app) {
      const { items } = (await call("GET", `${core}/pods?labelSelector=app%3D${app}`)) as {
        items: { metadata: { name: string; deletionTimestamp?: string } }[];
      };
      return items
        .filter(({ metadata }) => metadata.deletionTimestamp === undefined)
        .map(({ metadata }) => metadata.name);
    },
    async serves(kind) {
      const { status } = await client.call(
        "GET",
        collectionPath({ kind, name: "any" }, namespace),
        undefined,
        signal,
      );
      return status === 200;
    },
    async [Symbol.asyncDispose]() {
      await client.call("DELETE", `/api/v1/namespaces/${namespace}`, undefined, signal);
    },
  };
}

function manifestOf({ kind, name }: ScaleTarget, replicas: number, gpus: number): Manifest {
  const template = {
    metadata: { labels: { app: name } },
    spec: {
      terminationGracePeriodSeconds: 1,
      containers: [
        {
          name: "worker",
          image,
          command: ["sleep", "3600"],
          ...(gpus === 0 ? {} : { resources: { limits: { "nvidia.com/gpu": gpus } } }),
        },
      ],
    },
  };
  const metadata = { name };
  return kind === "LeaderWorkerSet"
    ? ({
        apiVersion: "leaderworkerset.x-k8s.io/v1",
        kind,
        metadata,
        spec: { replicas, leaderWorkerTemplate: { size: 2, workerTemplate: template } },
      } as Manifest)
    : ({
        apiVersion: "apps/v1",
        kind,
        metadata,
        spec: {
          replicas,
          ...(kind === "StatefulSet" ? { serviceName: name } : {}),
          selector: { matchLabels: { app: name } },
          template,
        },
      } as Manifest);
}
