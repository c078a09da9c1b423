import { stringify } from "yaml";
import type { Layout } from "@stator/core";
import type { BackendName } from "@stator/simulator/performance-model";
import type { Candidate } from "../search/candidate.ts";
import type { Target } from "../target.ts";
import type { GeneratedFile } from "./generate.ts";

const images: Readonly<Record<BackendName, (version: string) => string>> = {
  vllm: (version) => `vllm/vllm-openai:v${version}.0`,
  sglang: (version) => `lmsysorg/sglang:v${version}`,
  trtllm: (version) => `nvcr.io/nvidia/tensorrt-llm/release:${version}.0`,
};

/** Stator's own image, which holds the executable. */
const statorImage = "ghcr.io/stator-dev/stator:0.1";

/**
 * One StatefulSet per pool (scaled through the `scale` subresource), one Deployment and Service for the frontend, and the
 * layout with the engines' files in a ConfigMap. A worker of several nodes becomes a LeaderWorkerSet.
 */
export function kubernetesManifests(
  candidate: Candidate,
  target: Target,
  layout: Layout,
  files: readonly GeneratedFile[],
  options: { readonly version: string; readonly image?: string },
): string {
  const name = layout.namespace;
  const labels = (component: string): Record<string, string> => ({
    "app.kubernetes.io/name": name,
    "app.kubernetes.io/component": component,
    "app.kubernetes.io/managed-by": "stator",
  });
  const config = {
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: { name: `${name}-files`, labels: labels("configuration") },
    data: Object.fromEntries(
      files.filter((file) => file.name !== "graph.ts").map((file) => [file.name, file.text]),
    ),
  };
  const pools = Object.entries(layout.models[target.model.name]?.pools ?? {}).map(([pool, spec], index) => {
    const group = candidate.workers[index];
    const gpusPerPod = Math.min(group?.gpus ?? 1, target.system.gpusPerNode);
    const nodes = Math.ceil((group?.gpus ?? 1) / target.system.gpusPerNode);
    const script =
      files.find((file) => file.name === `${pool.replace(/^workers/, "aggregated")}.sh`)?.name ??
      "layout.yaml";
    const template = {
      metadata: { labels: { ...labels(pool), "stator.dev/role": spec.role } },
      spec: {
        terminationGracePeriodSeconds: 120,
        containers: [
          {
            name: "engine",
            image: options.image ?? images[target.backend](options.version),
            command: ["sh", `/etc/stator/${script}`, "8001"],
            ports: [{ name: "http", containerPort: 8001 }],
            resources: { limits: { "nvidia.com/gpu": gpusPerPod } },
            startupProbe: {
              httpGet: { path: "/health", port: "http" },
              periodSeconds: 10,
              failureThreshold: 180,
            },
            volumeMounts: [
              { name: "files", mountPath: "/etc/stator" },
              { name: "memory", mountPath: "/dev/shm" },
            ],
          },
          {
            name: "worker",
            image: statorImage,
            args: [
              "worker",
              "--engine",
              target.backend,
              "--url",
              "http://127.0.0.1:8001",
              "--role",
              spec.role,
              "--discovery",
              "kubernetes",
              "--namespace",
              name,
            ],
            readinessProbe: { httpGet: { path: "/ready", port: 9090 }, periodSeconds: 2 },
          },
        ],
        volumes: [
          { name: "files", configMap: { name: `${name}-files` } },
          { name: "memory", emptyDir: { medium: "Memory" } },
        ],
      },
    };
    if (nodes > 1)
      return {
        apiVersion: "leaderworkerset.x-k8s.io/v1",
        kind: "LeaderWorkerSet",
        metadata: { name: `${name}-${pool}`, labels: labels(pool) },
        spec: { replicas: spec.replicas, leaderWorkerTemplate: { size: nodes, workerTemplate: template } },
      };
    return {
      apiVersion: "apps/v1",
      kind: "StatefulSet",
      metadata: { name: `${name}-${pool}`, labels: labels(pool) },
      spec: {
        replicas: spec.replicas,
        serviceName: `${name}-${pool}`,
        podManagementPolicy: "Parallel",
        selector: { matchLabels: labels(pool) },
        template,
      },
    };
  });
  const frontend = {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { name: `${name}-frontend`, labels: labels("frontend") },
    spec: {
      replicas: layout.frontend.replicas,
      selector: { matchLabels: labels("frontend") },
      template: {
        metadata: { labels: labels("frontend") },
        spec: {
          containers: [
            {
              name: "frontend",
              image: statorImage,
              args: ["router", "/etc/stator/layout.yaml", "--discovery", "kubernetes", "--host", "0.0.0.0"],
              ports: [{ name: "http", containerPort: layout.frontend.port }],
              readinessProbe: { httpGet: { path: "/health", port: "http" } },
              volumeMounts: [{ name: "files", mountPath: "/etc/stator" }],
            },
          ],
          volumes: [{ name: "files", configMap: { name: `${name}-files` } }],
        },
      },
    },
  };
  const service = {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name, labels: labels("frontend") },
    spec: { selector: labels("frontend"), ports: [{ name: "http", port: 80, targetPort: "http" }] },
  };
  return [config, ...pools, frontend, service].map((document) => stringify(document)).join("---\n");
}
