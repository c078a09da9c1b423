import type { Layout, LayoutPool } from "@stator/core";
import type { Target } from "../../target.ts";
import { kvFeed } from "../engines/engine-command.ts";
import { engineImages, statorImage } from "./images.ts";
import { fromField, labelsOf, locked, nonRootPod, planes } from "./pod.ts";

export interface WorkersOptions {
  readonly name: string;
  readonly target: Target;
  readonly layout: Layout;
  readonly version: string;
  readonly image?: string;
  /** Start script of a pool, as a key of the ConfigMap. */
  readonly scriptOf: (pool: string) => string;
}

/**
 * The workload of each pool. A worker on one node is a pod of a Deployment, so that scaling down may choose by
 * pod-deletion-cost; a worker of several nodes is one group of a LeaderWorkerSet, ready and failing as one.
 */
export function workerWorkloads(options: WorkersOptions): object[] {
  const { target, layout } = options;
  const pools = Object.entries(layout.models[target.model.name]?.pools ?? {});
  return pools.map(([pool, spec]) => workload(options, pool, spec));
}

function workload(options: WorkersOptions, pool: string, spec: LayoutPool): object {
  const { name, target } = options;
  const gpus = spec.gpusPerReplica ?? 1;
  const nodes = Math.max(1, Math.ceil(gpus / target.system.gpusPerNode));
  const gpusPerPod = Math.min(gpus, target.system.gpusPerNode);
  const labels = labelsOf(name, pool);
  const metadata = { name: `${name}-${pool}`, labels };
  const podLabels = { ...labels, "stator.dev/role": spec.role };
  const isMpi = nodes > 1 && target.backend === "trtllm";
  const engine = engineContainer(options, pool, gpusPerPod, isMpi);
  const volumes = podVolumes(name, isMpi);
  if (nodes === 1)
    return {
      apiVersion: "apps/v1",
      kind: "Deployment",
      metadata,
      spec: {
        replicas: spec.replicas,
        selector: { matchLabels: labels },
        // The old worker gives its GPUs back before the new one asks for them.
        strategy: { type: "RollingUpdate", rollingUpdate: { maxSurge: 0, maxUnavailable: 1 } },
        template: {
          metadata: {
            labels: podLabels,
            annotations: { "controller.kubernetes.io/pod-deletion-cost": "0" },
          },
          spec: leaderSpec(options, spec, engine, volumes),
        },
      },
    };
  return {
    apiVersion: "leaderworkerset.x-k8s.io/v1",
    kind: "LeaderWorkerSet",
    metadata,
    spec: {
      replicas: spec.replicas,
      startupPolicy: "LeaderCreated",
      rolloutStrategy: {
        type: "RollingUpdate",
        rollingUpdateConfiguration: { maxSurge: 0, maxUnavailable: 1 },
      },
      leaderWorkerTemplate: {
        size: nodes,
        // One lost pod makes the group useless: all of it starts again.
        restartPolicy: "RecreateGroupOnPodRestart",
        leaderTemplate: {
          metadata: { labels: podLabels },
          spec: leaderSpec(options, spec, engine, volumes),
        },
        workerTemplate: {
          metadata: { labels },
          spec: {
            serviceAccountName: "stator-worker",
            terminationGracePeriodSeconds: graceSeconds,
            containers: [
              {
                ...engine,
                // It outlives the leader's drain; then its peer is gone and it may go too.
                lifecycle: { preStop: { exec: { command: ["sh", "-c", `sleep ${drainSeconds}`] } } },
              },
            ],
            volumes,
          },
        },
      },
    },
  };
}

const drainSeconds = 120;
const graceSeconds = drainSeconds + 30;

/** The pod that speaks: an engine as a sidecar, which starts before the worker process beside it and ends after it. */
function leaderSpec(
  { name, target }: WorkersOptions,
  spec: LayoutPool,
  engine: object,
  volumes: object[],
): object {
  const { connector, kvEvents } = spec.engine as { connector?: string; kvEvents?: string };
  return {
    serviceAccountName: "stator-worker",
    terminationGracePeriodSeconds: graceSeconds,
    initContainers: [
      {
        ...engine,
        restartPolicy: "Always",
        startupProbe: {
          httpGet: { path: "/health", port: "engine" },
          periodSeconds: 10,
          failureThreshold: 360,
        },
        livenessProbe: {
          httpGet: { path: "/health", port: "engine" },
          periodSeconds: 10,
          timeoutSeconds: 5,
          failureThreshold: 6,
        },
      },
    ],
    containers: [
      workerContainer([
        ...["--model", target.model.name, "--role", spec.role],
        ...["--engine", target.backend, "--url", "http://127.0.0.1:8001"],
        ...(kvEvents === undefined ? [] : ["--kv-events", kvFeed]),
        ...(connector === undefined ? [] : ["--connector", connector]),
        ...["--namespace", name],
      ]),
    ],
    volumes,
  };
}

/** The worker process: probes that tell readiness and drain, an address that frontends reach. */
export function workerContainer(args: readonly string[]): object {
  return {
    name: "worker",
    image: statorImage("worker"),
    args: [
      "worker",
      ...args,
      ...["--id", "$(POD_NAME)", "--discovery", planes.discovery],
      ...["--host", "0.0.0.0", "--advertise", "$(POD_IP)"],
      ...["--metrics-host", "0.0.0.0", "--metrics-port", "9090"],
    ],
    env: [fromField("POD_NAME", "metadata.name"), fromField("POD_IP", "status.podIP")],
    ports: [{ name: "metrics", containerPort: 9090 }],
    resources: { requests: { cpu: "1", memory: "512Mi" }, limits: { memory: "2Gi" } },
    securityContext: locked,
    startupProbe: { httpGet: { path: "/ready", port: "metrics" }, periodSeconds: 2, failureThreshold: 60 },
    readinessProbe: { httpGet: { path: "/ready", port: "metrics" }, periodSeconds: 2 },
    livenessProbe: { httpGet: { path: "/health", port: "metrics" }, periodSeconds: 5, failureThreshold: 6 },
    volumeMounts: [{ name: "tmp", mountPath: "/tmp" }],
  };
}

/** Pods of a worker that is its own engine: llama.cpp on the CPU. */
export function localWorkers(layout: Layout): object[] {
  const name = layout.namespace;
  return Object.entries(layout.models).flatMap(([model, { pools }]) =>
    Object.entries(pools).map(([pool, spec]) => {
      const labels = labelsOf(name, pool);
      return {
        apiVersion: "apps/v1",
        kind: "Deployment",
        metadata: { name: `${name}-${pool}`, labels },
        spec: {
          replicas: spec.replicas,
          selector: { matchLabels: labels },
          template: {
            metadata: {
              labels: { ...labels, "stator.dev/role": spec.role },
              annotations: { "controller.kubernetes.io/pod-deletion-cost": "0" },
            },
            spec: {
              serviceAccountName: "stator-worker",
              terminationGracePeriodSeconds: graceSeconds,
              securityContext: nonRootPod,
              containers: [
                workerContainer([
                  ...["--model", model, "--role", spec.role],
                  ...["--engine", spec.engine.kind, "--namespace", name],
                ]),
              ],
              volumes: [{ name: "tmp", emptyDir: {} }],
            },
          },
        },
      };
    }),
  );
}

function engineContainer(
  { target, version, image, scriptOf }: WorkersOptions,
  pool: string,
  gpusPerPod: number,
  isMpi: boolean,
): object {
  return {
    name: "engine",
    image: image ?? engineImages[target.backend](version),
    command: isMpi
      ? ["sh", "/etc/stator/mpi.sh", scriptOf(pool), String(gpusPerPod)]
      : ["sh", `/etc/stator/${scriptOf(pool)}`, "8001"],
    env: [
      { name: "HF_HOME", value: "/models" },
      fromField("VLLM_NIXL_SIDE_CHANNEL_HOST", "status.podIP"),
    ].slice(0, target.backend === "vllm" ? 2 : 1),
    envFrom: [{ secretRef: { name: "hugging-face", optional: true } }],
    // Never scraped: one engine's metrics are emptied by reading them, and ours tell the same.
    ports: [{ name: "engine", containerPort: 8001 }],
    resources: { limits: { "nvidia.com/gpu": String(gpusPerPod) } },
    securityContext: { allowPrivilegeEscalation: false },
    volumeMounts: [
      { name: "files", mountPath: "/etc/stator", readOnly: true },
      { name: "models", mountPath: "/models" },
      { name: "memory", mountPath: "/dev/shm" },
      ...(isMpi ? [{ name: "ssh", mountPath: "/etc/stator-ssh", readOnly: true }] : []),
    ],
  };
}

function podVolumes(name: string, isMpi: boolean): object[] {
  return [
    { name: "files", configMap: { name: `${name}-files` } },
    { name: "models", persistentVolumeClaim: { claimName: "models" } },
    { name: "memory", emptyDir: { medium: "Memory" } },
    { name: "tmp", emptyDir: {} },
    ...(isMpi ? [{ name: "ssh", secret: { secretName: "mpi-ssh", defaultMode: 0o400 } }] : []),
  ];
}
