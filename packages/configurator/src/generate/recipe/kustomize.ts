import { stringify } from "yaml";
import type { Layout } from "@stator/core";
import type { GeneratedFile } from "../generate.ts";
import type { ManifestFile } from "../kubernetes/manifests.ts";
import { planes } from "../kubernetes/pod.ts";
import { writeManifests } from "../kubernetes/manifests.ts";

const header = { apiVersion: "kustomize.config.k8s.io/v1beta1", kind: "Kustomization" };
const shared = "../../../../kubernetes";

/**
 * A Kustomize base of these manifests, and overlays: `trial` is the base in its namespace, `production` adds frontends, the
 * standalone router and monitoring, `autoscaled` is that with the planner.
 */
export function kustomizeFiles(
  layout: Layout,
  manifests: readonly ManifestFile[],
  frontends: number,
  gpus: number,
): GeneratedFile[] {
  const name = layout.namespace;
  const file = (path: string, content: object): GeneratedFile => ({
    name: `kubernetes/${path}/kustomization.yaml`,
    text: stringify(content, { lineWidth: 0 }),
  });
  const configuration = (overlay: string, component: string, content: object): GeneratedFile => ({
    name: `kubernetes/overlays/${overlay}/${component}-configuration.yaml`,
    text: writeManifests([
      {
        apiVersion: "v1",
        kind: "ConfigMap",
        metadata: { name: component },
        data: { [`${component}.yaml`]: stringify(content) },
      },
    ]),
  });
  return [
    ...manifests.map(({ name: manifest, documents }) => ({
      name: `kubernetes/base/${manifest}`,
      text: writeManifests(documents),
    })),
    file("base", {
      ...header,
      namespace: name,
      resources: ["../../../kubernetes/base", ...manifests.map((manifest) => manifest.name)],
    }),
    file("overlays/trial", { ...header, namespace: name, resources: ["../../base"] }),
    file("overlays/production", {
      ...header,
      namespace: name,
      resources: ["../../base", "router-configuration.yaml"],
      components: [`${shared}/components/monitoring`, `${shared}/components/router`],
      replicas: [{ name: `${name}-frontend`, count: frontends }],
    }),
    configuration("production", "router", routerConfiguration(layout)),
    file("overlays/autoscaled", {
      ...header,
      namespace: name,
      resources: ["../production", "planner-configuration.yaml"],
      components: [`${shared}/components/planner`],
    }),
    configuration("autoscaled", "planner", plannerConfiguration(layout, manifests, gpus)),
  ];
}

function routerConfiguration(layout: Layout): object {
  const [model] = Object.keys(layout.models);
  return { model, listen: { host: "0.0.0.0" }, policy: { name: "kv-aware" } };
}

/** Which workloads it scales between which bounds, and for what. */
function plannerConfiguration(layout: Layout, manifests: readonly ManifestFile[], gpus: number): object {
  const workloads = manifests
    .flatMap(({ documents }) => documents as readonly Workload[])
    .filter(({ kind }) => kind === "Deployment" || kind === "LeaderWorkerSet");
  const [model, entry] = Object.entries(layout.models)[0] ?? [];
  return {
    namespace: layout.namespace,
    discovery: planes.discovery,
    model,
    slo: entry?.slo,
    budgetGpus: gpus,
    pools: Object.entries(entry?.pools ?? {}).map(([pool, { role, gpusPerReplica }]) => ({
      role,
      gpusPerReplica,
      kind: workloads.find(({ metadata }) => metadata.name === `${layout.namespace}-${pool}`)?.kind,
      name: `${layout.namespace}-${pool}`,
    })),
  };
}

interface Workload {
  readonly kind: string;
  readonly metadata: { readonly name: string };
}
