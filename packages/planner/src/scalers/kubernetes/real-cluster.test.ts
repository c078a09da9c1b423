import { readFileSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { parseAllDocuments } from "yaml";
import type { Workers } from "../../decision/types.ts";
import {
  kubernetesScaler,
  type KubernetesScaler,
  type KubernetesScalerOptions,
} from "./kubernetes-scaler.ts";
import type { ScaleTarget } from "./scale-target.ts";
import { createTestCluster, type Manifest, type TestCluster } from "./testing/real-cluster.ts";

const kubeconfig = process.env["STATOR_KUBECONFIG"];
if (kubeconfig === undefined)
  process.stdout.write("skipped: the Kubernetes scaler on a real cluster (no STATOR_KUBECONFIG)\n");
const rbac = parseAllDocuments(readFileSync(new URL("../../../rbac.yaml", import.meta.url), "utf8")).map(
  (document) => document.toJS() as Manifest & { rules?: { resources: string[] }[] },
);
const { signal } = new AbortController();
const prefill: ScaleTarget = { kind: "StatefulSet", name: "prefill" };
const decode: ScaleTarget = { kind: "Deployment", name: "decode" };
const until = (what: () => unknown): Promise<unknown> =>
  vi.waitFor(what, { timeout: 120_000, interval: 100 });

describe.skipIf(kubeconfig === undefined)("on the cluster of STATOR_KUBECONFIG", { timeout: 240_000 }, () => {
  let cluster: TestCluster;
  let loads: Map<string, number>;
  beforeEach(async () => {
    cluster = await createTestCluster(kubeconfig!);
    loads = new Map();
  }, 60_000);
  afterEach(() => cluster[Symbol.asyncDispose](), 60_000);
  const scalerOf = (options: Partial<KubernetesScalerOptions> = {}): KubernetesScaler =>
    kubernetesScaler({
      access: cluster.access,
      namespace: cluster.namespace,
      prefill,
      decode,
      loads: () => Promise.resolve(loads),
      ...options,
    });
  const becomes = (scaler: KubernetesScaler, ready: Workers): Promise<unknown> =>
    until(async () => expect((await scaler.state(signal)).ready).toEqual(ready));

  test("Deployments and StatefulSets grow, are ready, and shrink by the emptiest, with the rights of rbac.yaml alone", async () => {
    await cluster.add(prefill, 1);
    await cluster.add(decode, 3);
    await using scaler = scalerOf({ access: await cluster.grant(rbac) });
    await becomes(scaler, { prefill: 1, decode: 3 });
    const names = await cluster.pods("decode");
    names.forEach((name, i) => loads.set(name, [5, 0, 9][i]!));
    await scaler.scale({ prefill: 2, decode: 2 }, signal);
    await becomes(scaler, { prefill: 2, decode: 2 });
    await until(async () => expect(await cluster.pods("decode")).toHaveLength(2));
    expect(await cluster.pods("decode")).not.toContain(names[1]);
  });

  test("each right of rbac.yaml is needed: what is not allowed is refused by name", async () => {
    await cluster.add(prefill, 1);
    await cluster.add(decode, 2);
    const fewer = rbac.map((each) =>
      each.rules === undefined
        ? each
        : { ...each, rules: each.rules.filter(({ resources }) => !resources.includes("deployments/scale")) },
    );
    await using scaler = scalerOf({ access: await cluster.grant(fewer) });
    await expect(scaler.state(signal)).rejects.toMatchObject({ kind: "unauthorized" });
  });

  test("pods that no node has room for are stuck, and go first", async () => {
    await cluster.add(prefill, 1);
    await cluster.add(decode, 2, 1000);
    await using scaler = scalerOf();
    await until(async () =>
      expect(await scaler.state(signal)).toEqual({
        target: { prefill: 1, decode: 2 },
        ready: { prefill: 1, decode: 0 },
        stuck: { prefill: 0, decode: 2 },
      }),
    );
    await scaler.scale({ prefill: 1, decode: 1 }, signal);
    await until(async () => expect((await scaler.state(signal)).stuck?.decode).toBe(1));
  });

  test("who scales at the same time is seen, and neither loses", async () => {
    await cluster.add(prefill, 1);
    await cluster.add(decode, 1);
    await using scaler = scalerOf();
    await becomes(scaler, { prefill: 1, decode: 1 });
    for (let round = 0; round < 5; round++)
      await Promise.all([
        scaler.scale({ prefill: 1 + (round % 2), decode: 2 + (round % 2) }, signal),
        cluster.setReplicas(decode, 4),
      ]);
    await scaler.scale({ prefill: 2, decode: 3 }, signal);
    expect((await scaler.state(signal)).target).toEqual({ prefill: 2, decode: 3 });
    await becomes(scaler, { prefill: 2, decode: 3 });
  });

  test("watches that end every second miss nothing", async () => {
    await cluster.add(prefill, 1);
    await cluster.add(decode, 1);
    await using scaler = scalerOf({ watchSeconds: 1 });
    for (const replicas of [3, 1, 2]) {
      await cluster.setReplicas(decode, replicas);
      await until(async () => expect((await scaler.state(signal)).target.decode).toBe(replicas));
      await becomes(scaler, { prefill: 1, decode: replicas });
    }
  });

  test("what is not there is said", async () => {
    await cluster.add(prefill, 1);
    await using scaler = scalerOf();
    await expect(scaler.state(signal)).rejects.toMatchObject({ kind: "notFound" });
  });

  test("LeaderWorkerSets are scaled, where the cluster knows them", async (context) => {
    if (!(await cluster.serves("LeaderWorkerSet"))) {
      process.stdout.write("skipped: LeaderWorkerSets (the cluster has no such resource)\n");
      context.skip();
    }
    const groups: ScaleTarget = { kind: "LeaderWorkerSet", name: "decode" };
    await cluster.add(prefill, 1);
    await cluster.add(groups, 1);
    await using scaler = scalerOf({ access: await cluster.grant(rbac), decode: groups });
    expect((await scaler.state(signal)).target).toEqual({ prefill: 1, decode: 1 });
    await scaler.scale({ prefill: 1, decode: 3 }, signal);
    await cluster.setReplicas(groups, 2);
    await until(async () => expect((await scaler.state(signal)).target.decode).toBe(2));
  });
});
