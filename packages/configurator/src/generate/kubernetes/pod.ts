/** Labels of a component's pods; the PodMonitor finds them by `managed-by`. */
export function labelsOf(name: string, component: string): Record<string, string> {
  return {
    "app.kubernetes.io/name": name,
    "app.kubernetes.io/component": component,
    "app.kubernetes.io/managed-by": "stator",
  };
}

/** Of a pod that runs our images only. */
export const nonRootPod: object = {
  runAsNonRoot: true,
  runAsUser: 10001,
  runAsGroup: 10001,
  fsGroup: 10001,
  seccompProfile: { type: "RuntimeDefault" },
};

/** Of a container of ours: no root, nothing to write to but its volumes. */
export const locked: object = {
  allowPrivilegeEscalation: false,
  capabilities: { drop: ["ALL"] },
  readOnlyRootFilesystem: true,
  runAsNonRoot: true,
  runAsUser: 10001,
};

/** What redis and nats are called in the namespace. */
export const planes: { readonly discovery: string; readonly events: string } = {
  discovery: "redis://redis:6379",
  events: "nats://nats:4222",
};

/** Environment entry of a field that Kubernetes fills in. */
export function fromField(name: string, fieldPath: string): object {
  return { name, valueFrom: { fieldRef: { fieldPath } } };
}
