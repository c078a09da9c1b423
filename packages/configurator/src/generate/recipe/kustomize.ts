import { stringify } from "yaml";
import type { GeneratedFile } from "../generate.ts";
import type { ManifestFile } from "../kubernetes/manifests.ts";
import { writeManifests } from "../kubernetes/manifests.ts";

const header = { apiVersion: "kustomize.config.k8s.io/v1beta1", kind: "Kustomization" };
const shared = "../../../../kubernetes";

/**
 * A Kustomize base of these manifests, and two overlays: `trial` is the base in its namespace, `production` adds frontends,
 * the standalone router and the planner.
 */
export function kustomizeFiles(
  name: string,
  manifests: readonly ManifestFile[],
  frontends: number,
): GeneratedFile[] {
  const file = (path: string, content: object): GeneratedFile => ({
    name: `kubernetes/${path}/kustomization.yaml`,
    text: stringify(content, { lineWidth: 0 }),
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
      resources: ["../../base"],
      components: [
        `${shared}/components/monitoring`,
        `${shared}/components/router`,
        `${shared}/components/planner`,
      ],
      replicas: [{ name: `${name}-frontend`, count: frontends }],
    }),
  ];
}
