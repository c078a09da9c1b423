import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { parseAllDocuments, stringify } from "yaml";
import { PlannerError } from "../../planner-error.ts";
import {
  createApiServerStandIn,
  type ApiServerStandIn,
  type RoleRule,
} from "./testing/api-server-stand-in.ts";
import { kubeconfigAccess } from "./kubernetes-access.ts";
import { kubernetesScaler, type KubernetesScaler } from "./kubernetes-scaler.ts";
import type { ScaleTarget } from "./scale-target.ts";
import { deletionCost } from "./worker-pods.ts";

const manifest = readFileSync(new URL("../../../rbac.yaml", import.meta.url), "utf8");
const rules = parseAllDocuments(manifest)
  .map((document) => document.toJS() as { kind: string; rules?: RoleRule[] })
  .find(({ kind }) => kind === "Role")!.rules!;
const { signal } = new AbortController();
const deployment = (name: string): ScaleTarget => ({ kind: "Deployment", name });
const until = (what: () => unknown): Promise<unknown> => vi.waitFor(what, { timeout: 10_000, interval: 5 });

describe("against the wire of an API server", () => {
  let api: ApiServerStandIn;
  let scaler: KubernetesScaler;
  let loads: Map<string, number>;
  const scalerOf = (token = "secret", prefill = deployment("prefill"), decode = deployment("decode")) =>
    kubernetesScaler({
      access: { server: api.url, token: () => token },
      namespace: "serving",
      prefill,
      decode,
      loads: () => Promise.resolve(loads),
    });
  beforeEach(async () => {
    loads = new Map();
    api = await createApiServerStandIn({ rules, namespace: "serving", token: "secret" });
    scaler = scalerOf();
  });
  afterEach(async () => {
    await scaler.close();
    await api[Symbol.asyncDispose]();
  });
  const state = (): ReturnType<KubernetesScaler["state"]> => scaler.state(signal);

  test("pods that start are no longer missing when they are ready, without being asked for", async () => {
    api.add("Deployment", "prefill", 2);
    api.add("Deployment", "decode", 3);
    expect(await state()).toEqual({
      target: { prefill: 2, decode: 3 },
      ready: { prefill: 2, decode: 3 },
      stuck: { prefill: 0, decode: 0 },
    });
    await scaler.scale({ prefill: 4, decode: 2 }, signal);
    // What was ordered counts at once, before the watch tells it.
    expect((await state()).target).toEqual({ prefill: 4, decode: 2 });
    await until(async () => expect((await state()).ready).toEqual({ prefill: 2, decode: 2 }));
    const asked = api.requests.length;
    api.becomeReady("prefill");
    await until(async () => expect((await state()).ready).toEqual({ prefill: 4, decode: 2 }));
    expect(api.requests.length).toBe(asked);
    const patches = api.requests.filter((call) => call.startsWith("PATCH") && call.endsWith("/scale"));
    expect(patches.map((call) => call.split("/").at(-2))).toEqual(["decode", "prefill"]);
  });

  test("the emptiest pod of a Deployment goes, drains before it is gone, and marks do not stay", async () => {
    api.add("Deployment", "prefill", 1);
    api.add("Deployment", "decode", 3);
    const names = api.pods("decode").map(({ metadata }) => metadata.name);
    names.forEach((name, i) => loads.set(name, [7, 1, 4][i]!));
    await scaler.scale({ prefill: 1, decode: 2 }, signal);
    const leaving = api.pods("decode").filter(({ metadata }) => metadata.deletionTimestamp !== undefined);
    expect(leaving.map(({ metadata }) => metadata.name)).toEqual([names[1]]);
    // It drains: no longer ready, still there.
    await until(async () => expect((await state()).ready.decode).toBe(2));
    expect(api.pods("decode")).toHaveLength(3);
    api.ended(names[1]!);
    loads.set(names[0]!, 0);
    await scaler.scale({ prefill: 1, decode: 1 }, signal);
    const left = api.pods("decode").filter(({ metadata }) => metadata.deletionTimestamp === undefined);
    expect(left.map(({ metadata }) => metadata.name)).toEqual([names[2]]);
    expect(left[0]!.metadata.annotations?.[deletionCost]).toBeUndefined();
  });

  test("pending pods without room are stuck, not starting, and go first", async () => {
    api.rooms = 3;
    api.add("Deployment", "prefill", 1);
    api.add("Deployment", "decode", 4);
    expect(await state()).toEqual({
      target: { prefill: 1, decode: 4 },
      ready: { prefill: 1, decode: 2 },
      stuck: { prefill: 0, decode: 2 },
    });
    await scaler.scale({ prefill: 1, decode: 2 }, signal);
    await until(async () =>
      expect(await state()).toMatchObject({ ready: { decode: 2 }, stuck: { decode: 0 } }),
    );
  });

  test("StatefulSets and LeaderWorkerSets are scaled alike", async () => {
    api.add("StatefulSet", "prefill", 2);
    api.add("LeaderWorkerSet", "decode", 1);
    await scaler.close();
    scaler = scalerOf(
      "secret",
      { kind: "StatefulSet", name: "prefill" },
      { kind: "LeaderWorkerSet", name: "decode" },
    );
    expect((await state()).ready).toEqual({ prefill: 2, decode: 1 });
    await scaler.scale({ prefill: 1, decode: 3 }, signal);
    expect([api.replicas("prefill"), api.replicas("decode")]).toEqual([1, 3]);
    expect((await state()).ready.decode).toBe(1);
    api.becomeReady("decode");
    await until(async () => expect((await state()).ready.decode).toBe(3));
  });

  test("409 is read again, 429 waits as told, 410 lists again, and a cut watch goes on where it was", async () => {
    api.add("Deployment", "prefill", 1);
    api.add("Deployment", "decode", 1);
    api.fail(/GET .*deployments\?/, 429, 0);
    api.fail(/GET .*pods\?/, 503);
    await state();
    // Somebody else scales between our reading and our patch.
    api.fail(/PATCH .*decode\/scale/, 409);
    api.fail(/PATCH .*decode\/scale/, 429, 0);
    await scaler.scale({ prefill: 1, decode: 5 }, signal);
    expect(api.replicas("decode")).toBe(5);

    const lists = (): number => api.requests.filter((call) => /GET .*\?(?!.*watch=true)/.test(call)).length;
    const listed = lists();
    api.bookmark();
    api.endWatches("cut");
    api.setReplicas("decode", 2);
    await until(async () => expect((await state()).target.decode).toBe(2));
    api.endWatches("end");
    api.setReplicas("decode", 3);
    await until(async () => expect((await state()).target.decode).toBe(3));
    expect(lists()).toBe(listed);

    // Versions are forgotten while the watch is away: everything is listed again.
    api.endWatches("cut");
    api.setReplicas("decode", 6);
    api.compact();
    await until(async () => expect((await state()).target.decode).toBe(6));
    expect(lists()).toBeGreaterThan(listed);
    api.endWatches("gone");
    api.setReplicas("decode", 4);
    await until(async () => expect((await state()).target.decode).toBe(4));
  });

  test("bookmarks move the version on: a watch that was idle for long needs no new list", async () => {
    api.add("Deployment", "prefill", 1);
    api.add("Deployment", "decode", 1);
    await state();
    const watchesOf = (): string[] =>
      api.requests.filter((call) =>
        /deployments\?.*watch=true.*name%3Ddecode|name%3Ddecode.*watch=true/.test(call),
      );
    await until(() => expect(watchesOf()).toHaveLength(1));
    for (let i = 0; i < 5; i++) api.setReplicas("prefill", i + 1);
    api.compact();
    api.bookmark();
    api.setReplicas("decode", 2);
    await until(async () => expect((await state()).target.decode).toBe(2));
    api.endWatches("end");
    await until(() => expect(watchesOf()).toHaveLength(2));
    api.setReplicas("decode", 3);
    await until(async () => expect((await state()).target.decode).toBe(3));
    expect(api.requests.filter((call) => /deployments\?(?!.*watch).*decode/.test(call))).toHaveLength(1);
  });

  test("what may not be done or is not there is said", async () => {
    api.add("Deployment", "prefill", 1);
    await expect(state()).rejects.toMatchObject({ code: "PLANNER_SCALING_FAILED", kind: "notFound" });
    await using other = scalerOf("wrong");
    const error = await other.state(signal).catch((caught: unknown) => caught);
    expect(PlannerError.isInstance(error)).toBe(true);
    expect(error).toMatchObject({ kind: "unauthorized" });
    await until(async () => {
      api.add("Deployment", "decode", 1);
      expect((await state()).target.decode).toBe(1);
    });
  });

  test("rbac.yaml allows all verbs that are used, and none that are not", async () => {
    const kinds = ["Deployment", "StatefulSet", "LeaderWorkerSet"] as const;
    for (const kind of kinds) {
      api.add(kind, kind.toLowerCase(), 2);
      api.add(kind, `${kind.toLowerCase()}-2`, 2);
      await using each = scalerOf(
        "secret",
        { kind, name: kind.toLowerCase() },
        { kind, name: `${kind.toLowerCase()}-2` },
      );
      for (const { metadata } of api.pods(kind.toLowerCase())) loads.set(metadata.name, 1);
      await each.state(signal);
      await each.scale({ prefill: 1, decode: 1 }, signal);
      await until(() => expect(api.requests.some((call) => call.includes("watch=true"))).toBe(true));
      await until(() =>
        expect(
          [...api.used].filter((use) => use.includes(`${kind.toLowerCase()}s`)).length,
        ).toBeGreaterThanOrEqual(4),
      );
    }
    await until(() => expect(api.used).toContain("watch /pods"));
    const allowed = rules.flatMap(({ apiGroups, resources, verbs }) =>
      apiGroups.flatMap((group) =>
        resources.flatMap((resource) => verbs.map((verb) => `${verb} ${group}/${resource}`)),
      ),
    );
    expect([...api.used].sort()).toEqual([...allowed].sort());
  });
});

test("a kubeconfig's current context gives server, authority and login; one without is refused", async () => {
  const folder = mkdtempSync(path.join(tmpdir(), "stator-kubeconfig-"));
  const written = (config: unknown): string => {
    const file = path.join(folder, "config");
    writeFileSync(file, stringify(config));
    return file;
  };
  const config = {
    "current-context": "here",
    contexts: [{ name: "here", context: { cluster: "c", user: "u" } }],
    clusters: [
      { name: "c", cluster: { server: "https://10.0.0.1:6443", "certificate-authority": "ca.pem" } },
    ],
    users: [{ name: "u", user: { "client-certificate-data": "Q0VSVA==", "client-key-data": "S0VZ" } }],
  };
  try {
    writeFileSync(path.join(folder, "ca.pem"), "CA");
    expect(await kubeconfigAccess(written(config))).toEqual({
      server: "https://10.0.0.1:6443",
      ca: "CA",
      cert: "CERT",
      key: "KEY",
    });
    const exec = { ...config, users: [{ name: "u", user: {} }] };
    await expect(kubeconfigAccess(written(exec))).rejects.toMatchObject({ code: "PLANNER_OPTION_INVALID" });
    await expect(kubeconfigAccess(written({}))).rejects.toThrow(/no current context/);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
