import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, readFileSync, readdirSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import { parseRecipe, recipeFiles } from "@stator/configurator";
import { parseLayout } from "@stator/core";
import type { Engine } from "@stator/core";
import { createRuntime } from "@stator/runtime";
import type { Runtime } from "@stator/runtime";
import { parseProfile } from "@stator/planner";
import { createProgram } from "stator";
import {
  containersOf,
  filesBelow,
  gather,
  manifestProblems,
  podsOf,
  readManifests,
  type Manifest,
} from "./manifests.ts";

const here = fileURLToPath(new URL(".", import.meta.url));
const root = path.join(here, "../..");
const names = readdirSync(here).filter((name) => existsSync(path.join(here, name, "recipe.yaml")));
const overlays = ["trial", "production", "autoscaled"];

/** Flags that each engine's release has, and the keys of TensorRT-LLM's YAML. */
const engines = JSON.parse(readFileSync(path.join(here, "schemas/engine-flags.json"), "utf8")) as Record<
  string,
  {
    readonly flags: readonly string[];
    /** A release after the one that the recipes' images have. */
    readonly later?: { readonly flags: readonly string[] };
    readonly config?: Readonly<Record<string, unknown>>;
  }
>;

// Images of others, at the releases that we write for.
const publicImages = [
  /^redis:\d+\.\d+-alpine$/,
  /^nats:\d+\.\d+-alpine$/,
  /^vllm\/vllm-openai:v\d+\.\d+\.\d+$/,
  /^lmsysorg\/sglang:v\d+\.\d+\.\d+$/,
  /^nvcr\.io\/nvidia\/tensorrt-llm\/release:\d+\.\d+\.\d+$/,
];

const hasKubectl = spawnSync("kubectl", ["version", "--client"]).status === 0;
if (!hasKubectl) {
  if (process.env["STATOR_REQUIRE"]?.split(",").includes("kubectl")) throw new Error("kubectl is required");
  console.log("skipped: kubectl is not installed, overlays are gathered but not rendered");
}

test("there is a recipe for each deployment that is promised", () => {
  expect(names).toEqual([
    "deepseek-r1-sglang-gb200",
    "deepseek-r1-sglang-h100",
    "deepseek-r1-trtllm-gb200",
    "gpt-oss-120b-trtllm-b200",
    "kimi-k2-vllm-h200",
    "llama-4-maverick-trtllm-gb200",
    "qwen3-32b-vllm-h100",
    "tiny-llamacpp-laptop",
  ]);
});

describe.each(names)("%s", (name) => {
  const folder = path.join(here, name);
  const read = (file: string): string => readFileSync(path.join(folder, file), "utf8");
  const recipe = parseRecipe(read("recipe.yaml"));
  const layout = parseLayout(parse(read("layout.yaml")));
  const pools = layout.models[recipe.model]?.pools ?? {};

  test("is what its recipe.yaml makes (npm run recipes)", () => {
    const files = recipeFiles(recipe);
    expect(filesBelow(folder)).toEqual(["recipe.yaml", ...files.map((file) => file.name)].sort());
    for (const file of files) expect(read(file.name), file.name).toBe(file.text);
  });

  test("has the GPUs that its name, its layout and its pods say", () => {
    const ofLayout = Object.values(pools).reduce(
      (sum, pool) => sum + pool.replicas * (pool.gpusPerReplica ?? 0),
      0,
    );
    expect(ofLayout).toBe(recipe.gpus);
    for (const pool of Object.values(pools)) {
      if (pool.parallelism === undefined) continue;
      const { tensor, pipeline, data } = pool.parallelism;
      expect(tensor * pipeline * data).toBe(pool.gpusPerReplica);
    }
    const ofPods = gather(path.join(folder, "kubernetes/base"))
      .flatMap(podsOf)
      .reduce(
        (sum, { template, pods }) =>
          sum +
          pods *
            containersOf(template).reduce(
              (gpus, { resources }) => gpus + Number(resources?.limits?.["nvidia.com/gpu"] ?? 0),
              0,
            ),
        0,
      );
    expect(ofPods).toBe(recipe.gpus);
  });

  test("tells its engines only flags and keys that they know", () => {
    const known = engines[recipe.engine];
    if (known === undefined) return;
    for (const script of ["prefill.sh", "decode.sh", "aggregated.sh"]) {
      if (!existsSync(path.join(folder, script))) continue;
      const flags = [...read(script).matchAll(/(?<=\s)--[a-z][\w-]*/g)].map(([flag]) => flag);
      expect(flags.length).toBeGreaterThan(5);
      expect(flags.filter((flag) => !known.flags.includes(flag))).toEqual([]);
      if (known.later !== undefined)
        expect(flags.filter((flag) => !known.later!.flags.includes(flag))).toEqual([]);
      expect(flags).toEqual([...new Set(flags)]);
      if (known.config !== undefined)
        expect(unknownKeys(parse(read(script.replace(".sh", ".yaml"))), known.config)).toEqual([]);
    }
  });

  test("its graph serves the layout's model", async () => {
    const { graph } = (await import(path.join(folder, "graph.ts"))) as {
      graph: (runtime: Runtime) => Record<string, Engine>;
    };
    const runtime = await createRuntime();
    expect(Object.keys(graph(runtime))).toEqual(Object.keys(layout.models));
    await runtime.close();
  });

  test("its scripts parse, and tell stator only what it understands", () => {
    const scripts = filesBelow(folder).filter((file) => /\.(sh|sbatch)$/.test(file));
    expect(scripts).toEqual(expect.arrayContaining(["bare-metal.sh", "benchmark.sh", "slurm.sbatch"]));
    for (const file of scripts) {
      const shell = file.endsWith(".sbatch") ? "bash" : "sh";
      expect(() => execFileSync(shell, ["-n", path.join(folder, file)])).not.toThrow();
      const joined = read(file).replaceAll("\\\n", " ");
      for (const [, command = "", rest = ""] of joined.matchAll(/^[^#\n]*\bstator (\w+)([^\n]*)/gm))
        checkCommand(
          command,
          [...rest.matchAll(/(?<=\s)--[a-z][\w-]*/g)].map(([flag]) => flag),
        );
    }
  });

  test("its planner scales pools that exist, by a profile that it can read", async () => {
    if (recipe.gpus === 0) return;
    const manifests = gather(path.join(folder, "kubernetes/overlays/autoscaled"));
    const data = manifests.find(({ metadata }) => metadata.name === "planner")?.data ?? {};
    const profile = parseProfile(JSON.parse(data["profile.json"] ?? ""));
    expect(profile.decode.gpusPerWorker).toBe(pools["decode"]?.gpusPerReplica);
    const { scaler, limits } = parse(data["planner.yaml"] ?? "") as {
      scaler: Record<string, { kind: string; name: string }>;
      limits: { gpus: number };
    };
    expect(limits.gpus).toBe(recipe.gpus);
    for (const role of ["prefill", "decode"])
      expect(manifests.map(({ kind, metadata }) => `${kind}/${metadata.name}`)).toContain(
        `${scaler[role]?.kind}/${scaler[role]?.name}`,
      );
  });

  test.each(recipe.gpus === 0 ? ["trial", "production"] : overlays)(
    "its %s overlay is valid and whole",
    (overlay) => {
      const to = path.join(folder, "kubernetes/overlays", overlay);
      checkManifests(gather(to));
      if (!hasKubectl) return;
      const rendered = readManifests(execFileSync("kubectl", ["kustomize", to], { encoding: "utf8" }));
      for (const manifest of rendered) expect(manifestProblems(manifest), manifest.metadata.name).toEqual([]);
      expect(new Set(rendered.map(({ metadata }) => metadata.namespace))).toEqual(
        new Set([layout.namespace]),
      );
      const frontend = rendered.find(({ metadata }) => metadata.name === `${layout.namespace}-frontend`);
      expect(frontend?.spec?.["replicas"] ?? 1).toBe(overlay === "production" ? recipe.frontends : 1);
    },
  );
});

function checkManifests(manifests: readonly Manifest[]): void {
  for (const manifest of manifests) expect(manifestProblems(manifest), manifest.metadata.name).toEqual([]);
  const keys = manifests.map(({ kind, metadata }) => `${kind}/${metadata.name}`);
  expect(keys).toEqual([...new Set(keys)]);
  const labels = manifests.flatMap(podsOf).map(({ template }) => template.metadata.labels);
  for (const manifest of manifests) {
    const selector = manifest.spec?.["selector"] as Readonly<Record<string, unknown>> | undefined;
    if (selector !== undefined) {
      const wanted = (selector["matchLabels"] ?? selector) as Readonly<Record<string, string>>;
      expect(labels, `${manifest.kind}/${manifest.metadata.name} selects a pod`).toContainEqual(
        expect.objectContaining(wanted),
      );
    }
    for (const { template } of podsOf(manifest)) checkPod(template, keys, manifests);
  }
}

function checkPod(
  template: ReturnType<typeof podsOf>[number]["template"],
  keys: readonly string[],
  manifests: readonly Manifest[],
): void {
  const { spec } = template;
  if (spec.serviceAccountName !== undefined)
    expect(keys).toContain(`ServiceAccount/${spec.serviceAccountName}`);
  for (const { configMap, persistentVolumeClaim } of spec.volumes ?? []) {
    if (configMap) expect(keys).toContain(`ConfigMap/${configMap.name}`);
    if (persistentVolumeClaim)
      expect(keys).toContain(`PersistentVolumeClaim/${persistentVolumeClaim.claimName}`);
  }
  const volumes = (spec.volumes ?? []).map(({ name }) => name);
  for (const container of containersOf(template)) {
    expect(volumes).toEqual(expect.arrayContaining((container.volumeMounts ?? []).map(({ name }) => name)));
    const ports = (container.ports ?? []).map(({ name }) => name);
    for (const [, port = ""] of JSON.stringify(container).matchAll(/"port":"(\w+)"/g))
      expect(ports).toContain(port);
    const data = Object.assign({}, ...manifests.map((manifest) => manifest.data)) as Record<string, string>;
    for (const word of [...(container.command ?? []), ...(container.args ?? [])])
      if (word.startsWith("/etc/stator/"))
        expect(Object.keys(data)).toContain(word.slice("/etc/stator/".length));
    const ours = /^ghcr\.io\/stator-dev\/stator-(\w+):/.exec(container.image)?.[1];
    if (ours === undefined) {
      expect(
        publicImages.some((pattern) => pattern.test(container.image)),
        container.image,
      ).toBe(true);
      continue;
    }
    expect(existsSync(path.join(root, "images", ours, "Containerfile")), container.image).toBe(true);
    expect(container.securityContext).toMatchObject({
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
    });
    const [command = "", ...args] = container.args ?? [];
    checkCommand(
      command,
      args.filter((word) => word.startsWith("--")),
    );
  }
}

const program = await createProgram();

function checkCommand(name: string, flags: readonly string[]): void {
  const command = program.commands.find((found) => found.name() === name);
  expect(command?.name()).toBe(name);
  // The planner's loop is its default subcommand.
  const known = [...(command?.options ?? []), ...(command?.commands[0]?.options ?? [])].map(
    ({ long }) => long,
  );
  expect(
    flags.filter((flag) => !known.includes(flag)),
    `stator ${name}`,
  ).toEqual([]);
}

function unknownKeys(config: unknown, known: Readonly<Record<string, unknown>>, at = ""): string[] {
  return Object.entries(config as Record<string, unknown>).flatMap(([key, value]) => {
    const expected = known[key];
    if (expected === undefined) return [`${at}${key}`];
    if (Array.isArray(expected)) return expected.includes(value) ? [] : [`${at}${key}: ${String(value)}`];
    return expected === true
      ? []
      : unknownKeys(value, expected as Readonly<Record<string, unknown>>, `${at}${key}.`);
  });
}

describe.each(["frontend", "router", "worker", "planner"])("the %s image", (image) => {
  test("runs our command, not as root, and writes nowhere but to /tmp", () => {
    const text = readFileSync(path.join(root, "images", image, "Containerfile"), "utf8");
    const final = text.slice(text.lastIndexOf("\nFROM "));
    expect(final).toMatch(/^USER 10001:10001$/m);
    expect(final).toMatch(/^VOLUME \/tmp$/m);
    expect(final).toMatch(/^ENTRYPOINT \["node", "\/app\/node_modules\/stator\/dist\/main\.js"\]$/m);
    expect(final).not.toMatch(/^(RUN|ADD) /m);
    const installed = [...text.matchAll(/(?<=\s)(@?[\w/-]+)@(\d+\.\d+\.\d+)/g)];
    const pinned = (
      JSON.parse(readFileSync(path.join(root, "package.json"), "utf8")) as {
        devDependencies: Record<string, string>;
      }
    ).devDependencies;
    expect(installed.length).toBeGreaterThan(0);
    for (const [, dependency = "", version] of installed) expect(pinned[dependency]).toBe(version);
  });
});
