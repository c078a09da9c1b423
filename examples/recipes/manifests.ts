import { existsSync, readFileSync, readdirSync, statSync } from "node:fs";
import path from "node:path";
import { parse, parseAllDocuments } from "yaml";
import type { JsonSchema } from "./json-schema.ts";
import { schemaProblems } from "./json-schema.ts";

/** A Kubernetes object as its file has it. */
export interface Manifest {
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly labels?: Readonly<Record<string, string>>;
  };
  readonly data?: Readonly<Record<string, string>>;
  readonly spec?: Readonly<Record<string, unknown>>;
  readonly rules?: readonly { readonly resources: readonly string[]; readonly verbs: readonly string[] }[];
}

export interface Container {
  readonly name: string;
  readonly image: string;
  readonly args?: readonly string[];
  readonly command?: readonly string[];
  readonly ports?: readonly { readonly name: string; readonly containerPort: number }[];
  readonly resources?: { readonly limits?: Readonly<Record<string, string>> };
  readonly securityContext?: Readonly<Record<string, unknown>>;
  readonly volumeMounts?: readonly { readonly name: string }[];
  readonly restartPolicy?: string;
}

export interface PodTemplate {
  readonly metadata: {
    readonly labels: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
  };
  readonly spec: {
    readonly serviceAccountName?: string;
    readonly containers: readonly Container[];
    readonly initContainers?: readonly Container[];
    readonly volumes?: readonly {
      readonly name: string;
      readonly configMap?: { readonly name: string };
      readonly persistentVolumeClaim?: { readonly claimName: string };
    }[];
  };
}

interface Schemas {
  readonly kinds: Readonly<Record<string, JsonSchema>>;
  readonly $defs?: Readonly<Record<string, JsonSchema>>;
}

const schemas = (name: string): Schemas =>
  JSON.parse(readFileSync(new URL(`schemas/${name}.json`, import.meta.url), "utf8")) as Schemas;
const known = [schemas("kubernetes"), schemas("custom")];
const definitions = Object.assign({}, ...known.map(({ $defs }) => $defs)) as Record<string, JsonSchema>;

/** In what a manifest or kustomization departs from its kind's schema. */
export function manifestProblems(manifest: { readonly kind: string }): string[] {
  const schema = known.map(({ kinds }) => kinds[manifest.kind]).find((found) => found !== undefined);
  return schema === undefined
    ? [`no schema for ${manifest.kind}`]
    : schemaProblems(manifest, schema, definitions, manifest.kind);
}

/** All manifests of a kustomization and what it is made of, as `kubectl kustomize` would gather them. */
export function gather(folder: string): Manifest[] {
  const file = path.join(folder, "kustomization.yaml");
  const kustomization = parse(readFileSync(file, "utf8")) as {
    readonly kind: string;
    readonly resources?: readonly string[];
    readonly components?: readonly string[];
  };
  const problems = manifestProblems(kustomization);
  if (problems.length > 0) throw new Error(`${file}: ${problems.join("; ")}`);
  return [...(kustomization.resources ?? []), ...(kustomization.components ?? [])].flatMap((entry) => {
    const to = path.join(folder, entry);
    if (!existsSync(to)) throw new Error(`${file} names ${entry}, which is not there`);
    return statSync(to).isDirectory() ? gather(to) : readManifests(readFileSync(to, "utf8"));
  });
}

export function readManifests(text: string): Manifest[] {
  return parseAllDocuments(text).map((document) => document.toJS() as Manifest);
}

/** Pod templates of a workload with how many pods each makes. */
export function podsOf(manifest: Manifest): { readonly template: PodTemplate; readonly pods: number }[] {
  const replicas = Number(manifest.spec?.["replicas"] ?? 1);
  if (manifest.kind === "Deployment")
    return [{ template: manifest.spec?.["template"] as PodTemplate, pods: replicas }];
  if (manifest.kind !== "LeaderWorkerSet") return [];
  const { size, leaderTemplate, workerTemplate } = manifest.spec?.["leaderWorkerTemplate"] as {
    readonly size: number;
    readonly leaderTemplate: PodTemplate;
    readonly workerTemplate: PodTemplate;
  };
  return [
    { template: leaderTemplate, pods: replicas },
    { template: workerTemplate, pods: replicas * (size - 1) },
  ];
}

export function containersOf({ spec }: PodTemplate): readonly Container[] {
  return [...(spec.initContainers ?? []), ...spec.containers];
}

/** Files below a folder, relative to it. */
export function filesBelow(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => path.relative(folder, path.join(entry.parentPath, entry.name)))
    .sort();
}
