import { stringify } from "yaml";
import type { Layout } from "@stator/core";
import type { GeneratedFile } from "../generate.ts";
import type { ManifestFile } from "../kubernetes/manifests.ts";
import { writeManifests } from "../kubernetes/manifests.ts";

const header = { apiVersion: "kustomize.config.k8s.io/v1beta1", kind: "Kustomization" };
const shared = "../../../../kubernetes";

/**
 * A Kustomize base of these manifests, and overlays: `trial` is the base in its namespace, `production` adds frontends, the
 * standalone router and monitoring, `autoscaled` the planner, whose files are `planner`.
 */
export function kustomizeFiles(
  layout: Layout,
  manifests: readonly ManifestFile[],
  frontends: number,
  planner: readonly GeneratedFile[],
): GeneratedFile[] {
  const name = layout.namespace;
  const file = (path: string, content: object): GeneratedFile => ({
    name: `kubernetes/${path}/kustomization.yaml`,
    text: stringify(content, { lineWidth: 0 }),
  });
  const configuration = (overlay: string, component: string, data: object): GeneratedFile => ({
    name: `kubernetes/overlays/${overlay}/${component}-configuration.yaml`,
    text: writeManifests([
      {
        apiVersion: "v1",
        kind: "ConfigMap",
        metadata: { name: component },
        data,
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
    configuration("production", "router", { "router.yaml": stringify(routerConfiguration(layout)) }),
    ...(planner.length === 0
      ? []
      : [
          // One frontend, whose metrics tell of all requests.
          file("overlays/autoscaled", {
            ...header,
            namespace: name,
            resources: ["../../base", "planner-configuration.yaml"],
            components: [`${shared}/components/monitoring`, `${shared}/components/planner`],
          }),
          configuration(
            "autoscaled",
            "planner",
            Object.fromEntries(planner.map(({ name: key, text }) => [key, text])),
          ),
        ]),
  ];
}

function routerConfiguration(layout: Layout): object {
  const [model] = Object.keys(layout.models);
  return { model, listen: { host: "0.0.0.0" }, policy: { name: "kv-aware" } };
}
