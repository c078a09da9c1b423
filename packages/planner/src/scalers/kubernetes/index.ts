export type { KubernetesAccess } from "./kubernetes-access.ts";
export { inClusterAccess, kubeconfigAccess } from "./kubernetes-access.ts";
export type { KubernetesScaler, KubernetesScalerOptions } from "./kubernetes-scaler.ts";
export { kubernetesScaler } from "./kubernetes-scaler.ts";
export type { ScaleTarget } from "./scale-target.ts";
