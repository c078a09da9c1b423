import * as fc from "fast-check";
import { parse, parseAllDocuments } from "yaml";
import { describe, expect, test } from "vitest";
import { parseLayout } from "@stator/core";
import type { BackendName } from "@stator/simulator/performance-model";
import { parallelism } from "@stator/simulator/performance-model";
import { estimate } from "../estimate.ts";
import type { Candidate } from "../search/candidate.ts";
import { workerGroup } from "../search/candidate.ts";
import { resolveTarget } from "../target.ts";
import type { TargetOptions } from "../target.ts";
import { commandOf, defaultEngineVersions } from "./engines/engine-command.ts";
import type { EngineSettings } from "./engines/engine-settings.ts";
import { readFlags } from "./engines/flag-table.ts";
import { filesOf } from "./generate.ts";
import { generate } from "./generate-without-search.ts";
import { readSglang } from "./engines/sglang.ts";
import { readTrtllm, trtllmConfig, writeTrtllmYaml } from "./engines/trtllm.ts";
import { readVllm } from "./engines/vllm.ts";

const settings: fc.Arbitrary<EngineSettings> = fc
  .record({
    role: fc.constantFrom("prefill", "decode", "both"),
    tensor: fc.constantFrom(1, 2, 4, 8),
    pipeline: fc.constantFrom(1, 2),
    data: fc.constantFrom(1, 1, 8, 16),
    isWhole: fc.boolean(),
    maxSequences: fc.integer({ min: 1, max: 128 }).map((eighth) => eighth * 8),
    maxStepTokens: fc.constantFrom(2048, 8192, 16384),
    contextTokens: fc.constantFrom(2560, 9472, 131072),
    blockTokens: fc.constantFrom(16, 32, 64),
    kvCache: fc.constantFrom("auto", "fp8"),
    hasPrefixCache: fc.boolean(),
    needsRemoteCode: fc.boolean(),
  })
  .map(({ isWhole, ...rest }) => {
    const tensor = rest.data > 1 ? 1 : rest.tensor;
    return {
      ...rest,
      tensor,
      model: "org/model",
      memoryFraction: 0.9,
      expert: isWhole && tensor * rest.data > 1 ? tensor * rest.data : 1,
    };
  });

describe.each(["vllm", "sglang", "trtllm"] as const)("%s", (backend) => {
  test("what is written can be read back", () => {
    fc.assert(
      fc.property(settings, (given) => {
        const { command } = commandOf(backend, given, defaultEngineVersions[backend]);
        const read =
          backend === "vllm"
            ? readVllm(readFlags(command))
            : backend === "sglang"
              ? readSglang(readFlags(command))
              : readTrtllm(writeTrtllmYaml(trtllmConfig(given, { count: 128, isBlackwell: true }, "1.2")));
        expect(given).toMatchObject(read);
      }),
    );
  });
});

test("flags follow the engine's release", () => {
  const given = fc.sample(settings, 1)[0];
  if (!given) throw new Error("no sample");
  expect(commandOf("trtllm", given, "1.0").command).toContain("--extra_llm_api_options");
  expect(commandOf("trtllm", given, "1.2.0rc5").command).toContain("--config");
  expect(commandOf("vllm", given, "0.12").command).toContain("--async-scheduling");
  expect(() => commandOf("vllm", given, "latest")).toThrow(/no engine version/);
});

interface Recipe {
  readonly name: string;
  readonly target: TargetOptions;
  readonly workers: Candidate["workers"];
}

const whole = (tensor: number, data: number): ReturnType<typeof parallelism> =>
  parallelism({ tensor, data, expert: tensor * data });
const recipes: readonly Recipe[] = [
  {
    name: "gpt-oss-120b",
    target: { model: "openai/gpt-oss-120b", system: "b200", backend: "trtllm" },
    workers: [workerGroup("prefill", 1, whole(4, 1), 1), workerGroup("decode", 1, whole(1, 4), 128)],
  },
  {
    name: "deepseek-r1",
    target: { model: "deepseek-ai/DeepSeek-R1", system: "gb200", backend: "trtllm", quantization: "fp8" },
    workers: [workerGroup("prefill", 1, whole(1, 16), 1), workerGroup("decode", 1, whole(1, 16), 256)],
  },
  {
    name: "llama-4-maverick",
    target: {
      model: "meta-llama/Llama-4-Maverick-17B-128E-Instruct-FP8",
      system: "gb200",
      backend: "trtllm",
      quantization: "fp8",
    },
    workers: [workerGroup("prefill", 1, whole(4, 1), 1), workerGroup("decode", 1, whole(4, 1), 256)],
  },
  {
    name: "qwen3-32b",
    target: { model: "Qwen/Qwen3-32B-FP8", system: "h200", backend: "sglang", quantization: "fp8-block" },
    workers: [workerGroup("both", 4, parallelism({ tensor: 2 }), 64)],
  },
  {
    name: "kimi-k2",
    target: { model: "moonshotai/Kimi-K2-Instruct", system: "h200", backend: "vllm", quantization: "int4" },
    workers: [
      workerGroup("prefill", 1, parallelism({ tensor: 8 }), 1),
      workerGroup("decode", 1, parallelism({ tensor: 8 }), 32),
    ],
  },
];

describe.each(recipes)("the files of the $name recipe", ({ name, target: options, workers }) => {
  const target = resolveTarget(options);
  const workload = { inputTokens: 4096, outputTokens: 1024 };
  const decode = workers.at(-1);
  const at = estimate({ ...options, ...workload, parallelism: decode?.parallelism ?? {}, batch: 8 });
  const candidate: Candidate = {
    mode: workers.length > 1 ? "disagg" : "agg",
    workers,
    gpusUsed: workers.reduce((sum, group) => sum + group.gpus * group.count, 0),
    requestsPerSecond: 10,
    tokensPerSecondPerGpu: 100,
    tokensPerSecondPerUser: 50,
    ttftMs: 500,
    tpotMs: 20,
    requestMs: 21000,
    concurrency: 128,
    transferMs: at.transferMs ?? 0,
    isSaturated: false,
  };
  const files = filesOf(candidate, target, workload, { limits: { ttftMs: 1000, tpotMs: 30 } });

  // Predicted times move with every calibration.
  const settled = files.map((file) => file.name).filter((file) => file !== "profile.json");
  test.each(settled)("%s is as committed", async (file) => {
    await expect(files.find((entry) => entry.name === file)?.text).toMatchFileSnapshot(
      `../../golden/${name}/${file}`,
    );
  });

  test("are valid: the layout parses, manifests name real files, GPUs add up", () => {
    const text = (file: string): string => files.find((entry) => entry.name === file)?.text ?? "";
    const layout = parseLayout(parse(text("layout.yaml")));
    const pools = Object.values(layout.models[target.model.name]?.pools ?? {});
    expect(pools.reduce((sum, pool) => sum + pool.replicas * (pool.gpusPerReplica ?? 0), 0)).toBe(
      candidate.gpusUsed,
    );
    const kinds = parseAllDocuments(text("kubernetes.yaml")).map(
      (document) => (document.toJS() as { kind: string }).kind,
    );
    const workloads = kinds.filter((kind) => kind === "Deployment" || kind === "LeaderWorkerSet");
    expect(workloads).toHaveLength(pools.length + 1);
    for (const [, script] of text("kubernetes.yaml").matchAll(/\/etc\/stator\/([\w-]+\.sh)/g))
      if (script !== "mpi.sh") expect(files.map((file) => file.name)).toContain(script);
    const planned = parse(text("planner.yaml")) as { scaler: Record<string, { name: string } | undefined> };
    const names = parseAllDocuments(text("kubernetes.yaml")).map(
      (document) => (document.toJS() as { metadata: { name: string } }).metadata.name,
    );
    for (const role of ["prefill", "decode"])
      if (planned.scaler[role] !== undefined) expect(names).toContain(planned.scaler[role].name);
  });
});

test.each([["vllm"], ["sglang"], ["trtllm"]] as readonly [BackendName][])(
  "generate without a search takes the smallest worker with room for KV (%s)",
  (backend) => {
    const { candidate, files } = generate({
      model: "Qwen/Qwen3-32B-FP8",
      system: "h200",
      backend,
      quantization: "fp8",
      gpus: 8,
    });
    expect(candidate.workers).toMatchObject([{ count: 8, gpus: 1 }]);
    expect(files.map((file) => file.name)).toContain("layout.yaml");
  },
);
