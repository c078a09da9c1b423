import { readFile } from "node:fs/promises";
import path from "node:path";
import { parse } from "yaml";
import { PlannerError } from "../../planner-error.ts";

/** Where the API server is, and how to speak to it. */
export interface KubernetesAccess {
  /** Such as `https://10.0.0.1:443`. */
  readonly server: string;
  /** Asked before each call: mounted tokens are renewed. */
  readonly token?: () => string | Promise<string>;
  /** PEM of the cluster's authority. */
  readonly ca?: string;
  /** PEM of a client certificate and its key, instead of a token. */
  readonly cert?: string;
  readonly key?: string;
}

const mounted = "/var/run/secrets/kubernetes.io/serviceaccount";

/** The access that a pod has through its service account. */
export async function inClusterAccess(
  environment: Readonly<Record<string, string | undefined>>,
): Promise<KubernetesAccess> {
  return {
    server: `https://${environment["KUBERNETES_SERVICE_HOST"] ?? "kubernetes.default.svc"}:${environment["KUBERNETES_SERVICE_PORT"] ?? "443"}`,
    token: async () => (await readFile(`${mounted}/token`, "utf8")).trim(),
    ca: await readFile(`${mounted}/ca.crt`, "utf8"),
  };
}

interface Kubeconfig {
  readonly "current-context"?: string;
  readonly contexts?: readonly {
    readonly name: string;
    readonly context: { readonly cluster: string; readonly user: string };
  }[];
  readonly clusters?: readonly {
    readonly name: string;
    readonly cluster: {
      readonly server: string;
      readonly "certificate-authority"?: string;
      readonly "certificate-authority-data"?: string;
    };
  }[];
  readonly users?: readonly {
    readonly name: string;
    readonly user: {
      readonly token?: string;
      readonly tokenFile?: string;
      readonly "client-certificate"?: string;
      readonly "client-certificate-data"?: string;
      readonly "client-key"?: string;
      readonly "client-key-data"?: string;
    };
  }[];
}

/**
 * The access of a kubeconfig's current context: tokens, token files and client certificates, in files or in place.
 *
 * @throws PlannerError `PLANNER_OPTION_INVALID` where the context, its cluster or a way to log in is missing.
 */
export async function kubeconfigAccess(file: string): Promise<KubernetesAccess> {
  const config = parse(await readFile(file, "utf8")) as Kubeconfig | null;
  const { "current-context": current, contexts, clusters, users } = config ?? {};
  const refused = (why: string): PlannerError =>
    new PlannerError({
      code: "PLANNER_OPTION_INVALID",
      kind: "invalid",
      message: `The kubeconfig ${file} cannot be used: ${why}.`,
    });
  const context = contexts?.find(({ name }) => name === current)?.context;
  const cluster = clusters?.find(({ name }) => name === context?.cluster)?.cluster;
  const user = users?.find(({ name }) => name === context?.user)?.user;
  if (context === undefined || cluster === undefined || user === undefined)
    throw refused(
      `it has no current context with a cluster and a user (current-context: ${String(current)})`,
    );
  const pem = async (data: string | undefined, name: string | undefined): Promise<string | undefined> =>
    data !== undefined
      ? Buffer.from(data, "base64").toString()
      : name === undefined
        ? undefined
        : readFile(path.resolve(path.dirname(file), name), "utf8");
  const [ca, cert, key] = await Promise.all([
    pem(cluster["certificate-authority-data"], cluster["certificate-authority"]),
    pem(user["client-certificate-data"], user["client-certificate"]),
    pem(user["client-key-data"], user["client-key"]),
  ]);
  const { token, tokenFile } = user;
  if (token === undefined && tokenFile === undefined && cert === undefined)
    throw refused("its user has neither a token nor a client certificate; login plug-ins are not run");
  return {
    server: cluster.server,
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined || key === undefined ? {} : { cert, key }),
    ...(tokenFile !== undefined
      ? { token: async () => (await readFile(tokenFile, "utf8")).trim() }
      : token === undefined
        ? {}
        : { token: () => token }),
  };
}
