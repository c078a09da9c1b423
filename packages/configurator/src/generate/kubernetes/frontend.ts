import type { Layout } from "@stator/core";
import { statorImage } from "./images.ts";
import { labelsOf, locked, nonRootPod } from "./pod.ts";

const drainSeconds = 60;

/** The OpenAI server: a Deployment and its Service. It leaves the Service before it drains. */
export function frontendManifests(name: string, layout: Layout): object[] {
  const labels = labelsOf(name, "frontend");
  const deployment = {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { name: `${name}-frontend`, labels },
    spec: {
      replicas: layout.frontend.replicas,
      selector: { matchLabels: labels },
      strategy: { type: "RollingUpdate", rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } },
      template: {
        metadata: { labels },
        spec: {
          serviceAccountName: "stator-frontend",
          automountServiceAccountToken: false,
          terminationGracePeriodSeconds: drainSeconds + 15,
          securityContext: nonRootPod,
          containers: [
            {
              name: "frontend",
              image: statorImage("frontend"),
              args: ["frontend", "/etc/stator/kubernetes-layout.yaml", "--host", "0.0.0.0"],
              ports: [{ name: "http", containerPort: layout.frontend.port }],
              resources: { requests: { cpu: "2", memory: "1Gi" }, limits: { memory: "4Gi" } },
              securityContext: locked,
              startupProbe: {
                httpGet: { path: "/live", port: "http" },
                periodSeconds: 1,
                failureThreshold: 60,
              },
              livenessProbe: {
                httpGet: { path: "/live", port: "http" },
                periodSeconds: 5,
                failureThreshold: 6,
              },
              readinessProbe: { httpGet: { path: "/health", port: "http" }, periodSeconds: 2 },
              // Load balancers hear of the end before connections are refused.
              lifecycle: { preStop: { sleep: { seconds: 5 } } },
              volumeMounts: [
                { name: "files", mountPath: "/etc/stator", readOnly: true },
                { name: "tmp", mountPath: "/tmp" },
              ],
            },
          ],
          volumes: [
            { name: "files", configMap: { name: `${name}-files` } },
            { name: "tmp", emptyDir: {} },
          ],
        },
      },
    },
  };
  const service = {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name, labels },
    spec: { selector: labels, ports: [{ name: "http", port: 80, targetPort: "http" }] },
  };
  return [deployment, service];
}
