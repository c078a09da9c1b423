import { z } from "zod";
import { CoreError } from "../errors/core-error.ts";

/** One pool of equal workers of a model. */
export interface LayoutPool {
  readonly role: "prefill" | "decode" | "both";
  readonly replicas: number;
  readonly engine: LayoutEngine;
  readonly parallelism?: LayoutParallelism | undefined;
  readonly gpusPerReplica?: number | undefined;
  /** A policy by its name; `kv-aware` when absent. */
  readonly policy?:
    { readonly name: string; readonly options?: Readonly<Record<string, unknown>> | undefined } | undefined;
  readonly labels?: Readonly<Record<string, string>> | undefined;
  readonly environment?: Readonly<Record<string, string>> | undefined;
}

export interface LayoutParallelism {
  readonly tensor: number;
  readonly pipeline: number;
  readonly data: number;
  readonly expert: number;
}

/** How one engine process is started or found. */
export type LayoutEngine =
  | {
      readonly kind: "llama";
      /** GGUF file; the bundled tiny model when absent. */
      readonly modelPath?: string | undefined;
      readonly contextTokens?: number | undefined;
      readonly sequences?: number | undefined;
      /** Host memory for KV blocks whose sequence is used otherwise; 0 keeps none. */
      readonly hostCacheBytes?: number | undefined;
      /** A directory in which each worker keeps KV blocks that outlive it. */
      readonly diskCache?: string | undefined;
      /** Of each worker. */
      readonly diskCacheBytes?: number | undefined;
      /** Name of a `stator transfer store`, which keeps KV blocks for all workers. */
      readonly sharedCache?: string | undefined;
      readonly exact?: boolean | undefined;
    }
  | {
      readonly kind: "simulated";
      readonly stepMs?: number | undefined;
      readonly prefillTokensPerSecond?: number | undefined;
      readonly contextTokens?: number | undefined;
      readonly sequences?: number | undefined;
      readonly kvBlocks?: number | undefined;
      readonly blockTokens?: number | undefined;
      readonly outputTokens?: number | undefined;
    }
  | {
      readonly kind: "vllm" | "sglang" | "trtllm" | "llama-server";
      /** An already running server; otherwise `command` is started. */
      readonly url?: string | undefined;
      /**
       * argv of the server; `{port}` and `{rank}` are filled in, and so are `{events}`, `{replay}` and `{side}`: the first of 16
       * free ports each for KV events, their replay and the KV side channel, so that replicas can share a host.
       */
      readonly command?: readonly string[] | undefined;
      readonly environment?: Readonly<Record<string, string>> | undefined;
      /** Address of the engine's event feed, `tcp://host:port`; filled in as `command` and `environment` are. */
      readonly kvEvents?: string | undefined;
      /** `name` or `name=detail`: nixl, mooncake, p2p-nccl; bootstrap; context; slot-files. */
      readonly connector?: string | undefined;
      /** The model's `tokenizer.json` or GGUF file; without it only token prompts are served. */
      readonly tokenizerPath?: string | undefined;
      /** Prompt and output of one request, where the server does not tell. */
      readonly contextTokens?: number | undefined;
      /** The server's own name for the model, where it serves several; its first one when absent. */
      readonly servedModel?: string | undefined;
      /** Ids are below it, where neither tokenizer nor server tells. */
      readonly vocabulary?: number | undefined;
      /** Silence of the server after which a request failed there; 120,000 when absent. */
      readonly silentMs?: number | undefined;
      /** How long a prefill server keeps KV that no decode reads; the engine's own default when absent. */
      readonly holdMs?: number | undefined;
    };

export interface LayoutModel {
  /** By name; one of role `both`, or one `prefill` and one `decode`. */
  readonly pools: Readonly<Record<string, LayoutPool>>;
  /** Prompts with more uncached tokens than this are prefilled by the prefill pool; 256 when absent. */
  readonly disaggregateAboveTokens?: number | undefined;
  /** In-flight re-routing; on when absent. */
  readonly migrate?: boolean | undefined;
  /** How the model writes calls to tools, by the frontend's names; as its chat template shows when absent. */
  readonly toolCallFormat?: string | undefined;
  /** How the model sets its thoughts apart, by the frontend's names; as its chat template shows when absent. */
  readonly reasoningFormat?: string | undefined;
  readonly slo?:
    | {
        readonly ttftMs?: number | undefined;
        readonly itlMs?: number | undefined;
        readonly percentile?: number | undefined;
      }
    | undefined;
}

/**
 * Everything that tools exchange about a serving graph: plain data, YAML on disk. `graphFromLayout` builds the same
 * combinators that a user would write; `stator up` runs it.
 */
export interface Layout {
  readonly version: 1;
  /** Separates deployments that share a discovery store. */
  readonly namespace: string;
  readonly models: Readonly<Record<string, LayoutModel>>;
  readonly frontend: { readonly host: string; readonly port: number; readonly replicas: number };
  readonly planes: {
    /** `memory`, `file`, `redis://…`, `nats://…` or `kubernetes`. */
    readonly discovery: string;
    /** `session` or `nats://…`. */
    readonly events: string;
    /** `session` or `nats://…`. */
    readonly queue: string;
  };
}

const positive = z.number().int().positive();
const milliseconds = z.number().positive();

const engine = z.discriminatedUnion("kind", [
  z.strictObject({
    kind: z.literal("llama").describe("llama.cpp in the worker process"),
    modelPath: z.string().optional().describe("GGUF file; the bundled tiny model when absent"),
    contextTokens: positive.optional(),
    sequences: positive.optional().describe("requests that run at once"),
    hostCacheBytes: z
      .number()
      .int()
      .nonnegative()
      .optional()
      .describe("host memory for KV blocks; 0 keeps none"),
    diskCache: z.string().optional().describe("directory for KV blocks that outlive a worker"),
    diskCacheBytes: positive.optional().describe("of each worker, in diskCache"),
    sharedCache: z.string().optional().describe("name of a `stator transfer store`"),
    exact: z.boolean().optional().describe("settings under which the batch never changes the text"),
  }),
  z.strictObject({
    kind: z.literal("simulated").describe("a deterministic engine without a model"),
    stepMs: z.number().nonnegative().optional(),
    prefillTokensPerSecond: z.number().positive().optional(),
    contextTokens: positive.optional(),
    sequences: positive.optional(),
    kvBlocks: positive.optional(),
    blockTokens: positive.optional(),
    outputTokens: positive.optional(),
  }),
  z.strictObject({
    kind: z
      .enum(["vllm", "sglang", "trtllm", "llama-server"])
      .describe("an engine server beside the worker process"),
    url: z.url().optional().describe("an already running server; otherwise `command` is started"),
    command: z
      .array(z.string())
      .optional()
      .describe("argv of the server; {port}, {rank}, {events}, {replay} and {side} are filled in"),
    environment: z.record(z.string(), z.string()).optional(),
    kvEvents: z.string().optional().describe("address of the engine's event feed, tcp://host:port"),
    connector: z
      .string()
      .optional()
      .describe("name or name=detail: nixl, mooncake, p2p-nccl; bootstrap; context; slot-files"),
    tokenizerPath: z.string().optional().describe("the model's tokenizer.json or GGUF file"),
    contextTokens: positive.optional().describe("where the server does not tell"),
    servedModel: z.string().optional().describe("the server's own name for the model, its first when absent"),
    vocabulary: positive.optional().describe("ids are below it; where nobody tells"),
    silentMs: positive.optional().describe("silence after which a request failed there"),
    holdMs: positive.optional().describe("how long prefill keeps KV that no decode reads"),
  }),
]);

const parallelism = z.strictObject({
  tensor: positive.default(1),
  pipeline: positive.default(1),
  data: positive.default(1),
  expert: positive.default(1),
});

const pool = z.strictObject({
  role: z.enum(["prefill", "decode", "both"]),
  replicas: z.number().int().nonnegative(),
  engine,
  parallelism: parallelism.optional(),
  gpusPerReplica: z.number().int().nonnegative().optional(),
  policy: z
    .strictObject({ name: z.string(), options: z.record(z.string(), z.unknown()).optional() })
    .optional()
    .describe("a policy by its name, kv-aware when absent"),
  labels: z.record(z.string(), z.string()).optional(),
  environment: z.record(z.string(), z.string()).optional(),
});

const model = z.strictObject({
  pools: z
    .record(z.string(), pool)
    .describe("by name; one of role `both`, or one `prefill` and one `decode`"),
  disaggregateAboveTokens: z
    .number()
    .int()
    .nonnegative()
    .optional()
    .describe(
      "prompts with more uncached tokens than this are prefilled by the prefill pool; 256 when absent",
    ),
  migrate: z.boolean().optional().describe("in-flight re-routing; on when absent"),
  toolCallFormat: z
    .string()
    .optional()
    .describe(
      "how the model writes calls to tools (hermes, qwen3Coder, …, none); by its template when absent",
    ),
  reasoningFormat: z
    .string()
    .optional()
    .describe("how the model sets its thoughts apart (think, harmony, …, none); by its template when absent"),
  slo: z
    .strictObject({
      ttftMs: milliseconds.optional(),
      itlMs: milliseconds.optional(),
      percentile: z.number().min(50).max(99.9).optional(),
    })
    .optional(),
});

const layout: z.ZodType<Layout> = z.strictObject({
  version: z.literal(1).default(1),
  namespace: z
    .string()
    .regex(/^[a-z0-9][a-z0-9-]{0,62}$/, "lower-case letters, digits and dashes, at most 63")
    .default("default"),
  models: z.record(z.string().min(1), model),
  frontend: z
    .strictObject({
      host: z.string().default("127.0.0.1"),
      port: z.number().int().min(0).max(65535).default(8000),
      replicas: positive.default(1),
    })
    .prefault({}),
  planes: z
    .strictObject({
      discovery: z.string().default("file").describe("memory, file, redis://…, nats://… or kubernetes"),
      events: z.string().default("session").describe("session or nats://…"),
      queue: z.string().default("session").describe("session or nats://…"),
    })
    .prefault({}),
});

/**
 * Checks a layout and fills in its defaults.
 *
 * @throws CoreError `CORE_LAYOUT_INVALID` that names every wrong field.
 */
export function parseLayout(input: unknown): Layout {
  const result = layout.safeParse(input);
  if (!result.success) throw invalid(z.prettifyError(result.error));
  for (const [name, { pools }] of Object.entries(result.data.models)) {
    const roles = Object.values(pools).map((p) => p.role);
    const prefill = roles.filter((r) => r === "prefill").length;
    const decode = roles.filter((r) => r === "decode").length;
    if (roles.length === 0)
      throw invalid(
        `models.${name}.pools is empty: give it a pool of role "both", or "prefill" and "decode".`,
      );
    if (prefill > 0 !== decode > 0)
      throw invalid(
        `models.${name}.pools has ${prefill > 0 ? "prefill" : "decode"} without its counterpart: add the other role, or use "both".`,
      );
  }
  return result.data;
}

/** The JSON Schema of a layout file, for editors. */
export function layoutJsonSchema(): Record<string, unknown> {
  return z.toJSONSchema(layout, { io: "input" }) as Record<string, unknown>;
}

function invalid(detail: string): CoreError {
  return new CoreError({
    code: "CORE_LAYOUT_INVALID",
    kind: "invalid",
    message: `The layout is not valid.\n${detail}`,
  });
}
