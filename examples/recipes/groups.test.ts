import { readdirSync, existsSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { gather } from "./manifests.ts";

const here = fileURLToPath(new URL(".", import.meta.url));
const recipes = readdirSync(here).filter((name) => existsSync(path.join(here, name, "kubernetes/base")));

interface Container {
  readonly name: string;
  readonly readinessProbe?: unknown;
  readonly livenessProbe?: unknown;
  readonly lifecycle?: { readonly preStop?: unknown };
}
interface Template {
  readonly metadata: { readonly annotations?: Readonly<Record<string, string>> };
  readonly spec: {
    readonly containers: readonly Container[];
    readonly initContainers?: readonly Container[];
  };
}
interface Group {
  readonly startupPolicy: string;
  readonly leaderWorkerTemplate: {
    readonly size: number;
    readonly restartPolicy: string;
    readonly leaderTemplate: Template;
    readonly workerTemplate: Template;
  };
}

describe.each(recipes)("%s on Kubernetes", (recipe) => {
  const manifests = gather(path.join(here, recipe, "kubernetes/base"));
  const specs = (kind: string): unknown[] =>
    manifests.filter((one) => one.kind === kind).map((one) => (one as unknown as { spec: unknown }).spec);

  test("one worker speaks for a group of pods, which is ready and fails as one", () => {
    for (const spec of specs("LeaderWorkerSet") as Group[]) {
      const { size, restartPolicy, leaderTemplate, workerTemplate } = spec.leaderWorkerTemplate;
      expect(size).toBeGreaterThan(1);
      // One lost pod takes the whole group along, and the leader's session with it.
      expect(restartPolicy).toBe("RecreateGroupOnPodRestart");
      expect(spec.startupPolicy).toBe("LeaderCreated");
      const [worker, ...others] = leaderTemplate.spec.containers;
      expect(others).toEqual([]);
      // It registers when the engine answers, which is when every node of it has come up.
      expect(worker).toMatchObject({ name: "worker", readinessProbe: { httpGet: { path: "/ready" } } });
      expect(leaderTemplate.spec.initContainers).toMatchObject([
        { name: "engine", startupProbe: { httpGet: { path: "/health" } }, livenessProbe: {} },
      ]);
      expect(workerTemplate.spec.containers.map(({ name }) => name)).toEqual(["engine"]);
      expect(workerTemplate.spec.containers[0]?.lifecycle?.preStop).toBeDefined();
    }
  });

  test("the pods of workers on one node say what their deletion costs, for the planner to write", () => {
    const templates = (specs("Deployment") as { readonly template: Template }[])
      .map(({ template }) => template)
      .filter(({ spec }) => spec.containers.some(({ name }) => name === "worker"));
    for (const { metadata } of templates)
      expect(metadata.annotations).toHaveProperty("controller.kubernetes.io/pod-deletion-cost", "0");
    expect(templates.length + specs("LeaderWorkerSet").length).toBeGreaterThan(0);
  });
});
