import { parse } from "yaml";
import { z } from "zod";
import { configuratorError } from "../../configurator-error.ts";

const positive = z.number().int().positive();

const worker = z.strictObject({
  role: z.enum(["prefill", "decode", "both"]),
  count: positive,
  parallelism: z.strictObject({
    tensor: positive.optional(),
    pipeline: positive.optional(),
    data: positive.optional(),
    expert: positive.optional(),
  }),
  batch: positive.describe("sequences at once per attention rank"),
  flags: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])).optional(),
  config: z.record(z.string(), z.unknown()).optional(),
  environment: z.record(z.string(), z.string()).optional(),
});

const local = z.strictObject({
  title: z.string(),
  about: z.string(),
  model: z.string(),
  engine: z.literal("llama"),
  gpus: z.literal(0).default(0),
  workload: z.strictObject({ inputTokens: positive, outputTokens: positive }),
  frontends: positive.default(1),
  disaggregateAboveTokens: z.number().int().nonnegative().optional(),
  workers: z.array(z.strictObject({ role: z.enum(["prefill", "decode", "both"]), count: positive })).min(1),
});

const schema = z.strictObject({
  title: z.string(),
  about: z.string(),
  model: z.string(),
  system: z.string(),
  engine: z.enum(["vllm", "sglang", "trtllm"]),
  engineVersion: z.string().optional(),
  quantization: z.string().optional(),
  gpus: positive.describe("all that it takes; checked against the workers"),
  physicalExperts: positive.optional().describe("routed experts with their redundant copies"),
  workload: z.strictObject({ inputTokens: positive, outputTokens: positive }),
  slo: z.strictObject({ ttftMs: z.number().positive(), tpotMs: z.number().positive() }),
  frontends: positive.default(2).describe("replicas in production"),
  workers: z.array(worker).min(1),
  needs: z.array(z.string()).default([]),
});

/** A deployment that is known to make sense: the input of `recipeFiles`. */
export interface Recipe {
  readonly title: string;
  /** One paragraph: what it is good for and why it is split so. */
  readonly about: string;
  readonly model: string;
  readonly system: string;
  readonly engine: "vllm" | "sglang" | "trtllm";
  readonly engineVersion?: string | undefined;
  readonly quantization?: string | undefined;
  /** All that it takes; checked against the workers. */
  readonly gpus: number;
  /** Routed experts with their redundant copies, where these make the split possible. */
  readonly physicalExperts?: number | undefined;
  readonly workload: { readonly inputTokens: number; readonly outputTokens: number };
  readonly slo: { readonly ttftMs: number; readonly tpotMs: number };
  /** Frontend replicas in production. Default 2. */
  readonly frontends: number;
  readonly workers: readonly RecipeWorker[];
  /** What must be there besides GPUs, engine image and weights. */
  readonly needs: readonly string[];
}

/** A deployment without GPUs: llama.cpp inside the worker processes. */
export interface LocalRecipe {
  readonly title: string;
  readonly about: string;
  readonly model: string;
  readonly engine: "llama";
  readonly gpus: 0;
  readonly workload: { readonly inputTokens: number; readonly outputTokens: number };
  readonly frontends: number;
  readonly disaggregateAboveTokens?: number | undefined;
  readonly workers: readonly { readonly role: "prefill" | "decode" | "both"; readonly count: number }[];
}

export interface RecipeWorker {
  readonly role: "prefill" | "decode" | "both";
  readonly count: number;
  readonly parallelism: {
    readonly tensor?: number | undefined;
    readonly pipeline?: number | undefined;
    readonly data?: number | undefined;
    readonly expert?: number | undefined;
  };
  /** Sequences at once per attention rank. */
  readonly batch: number;
  /** Engine flags beyond the generator's; `false` leaves one out. */
  readonly flags?: Readonly<Record<string, string | number | boolean>> | undefined;
  /** TensorRT-LLM: keys of its YAML beyond the generator's. */
  readonly config?: Readonly<Record<string, unknown>> | undefined;
  readonly environment?: Readonly<Record<string, string>> | undefined;
}

/**
 * Reads a `recipe.yaml`.
 *
 * @throws ConfiguratorError `CONFIGURATOR_OPTION_INVALID` that names every wrong field.
 */
export function parseRecipe(text: string): Recipe | LocalRecipe {
  const result = z.discriminatedUnion("engine", [schema, local]).safeParse(parse(text));
  if (!result.success)
    throw configuratorError(
      "CONFIGURATOR_OPTION_INVALID",
      `The recipe is not valid.\n${z.prettifyError(result.error)}`,
    );
  return result.data;
}
