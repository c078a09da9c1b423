export type { KubernetesAccess } from "./kubernetes-client.ts";
export { inClusterAccess } from "./kubernetes-client.ts";
export type { KubernetesScalerOptions, ScaleTarget } from "./kubernetes-scaler.ts";
export { kubernetesScaler } from "./kubernetes-scaler.ts";
