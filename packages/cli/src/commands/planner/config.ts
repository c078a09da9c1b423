import { readFileSync } from "node:fs";
import path from "node:path";
import { parseDocument } from "yaml";
import { z } from "zod";
import {
  PlannerError,
  type ForecasterName,
  type Limits,
  type LoadThresholds,
  type Slo,
  type Workers,
} from "@stator/planner";
import type { ScaleTarget } from "@stator/planner/kubernetes";

/** What `planner.yaml` holds. */
export interface PlannerConfig {
  /** Absent: decisions follow the prefill queue and decode memory alone. */
  readonly profile?: string | undefined;
  readonly thresholds?: Loose<LoadThresholds> | undefined;
  readonly slo: Loose<Slo>;
  readonly limits: Loose<Limits>;
  readonly metrics: { readonly urls: readonly string[]; readonly model?: string | undefined };
  readonly listen: { readonly host: string; readonly rpcPort: number; readonly httpPort: number };
  readonly intervalSeconds: number;
  readonly forecasters?: readonly ForecasterName[] | undefined;
  readonly startupSeconds: number;
  readonly scaler:
    | { readonly kind: "advisory"; readonly workers: Workers }
    | {
        readonly kind: "webhook";
        readonly url: string;
        readonly headers?: Readonly<Record<string, string>> | undefined;
      }
    | {
        readonly kind: "kubernetes";
        readonly namespace: string;
        readonly server?: string | undefined;
        readonly kubeconfig?: string | undefined;
        readonly prefill?: ScaleTarget | undefined;
        readonly decode: ScaleTarget;
      };
}

/** Keys that may be left out may also be undefined, as a schema gives them. */
type Loose<T> = {
  readonly [K in keyof T]: Record<never, never> extends Pick<T, K> ? T[K] | undefined : T[K];
};

const workers = z.strictObject({ prefill: z.number().int().min(0), decode: z.number().int().min(0) });
const target = z.strictObject({
  kind: z.enum(["Deployment", "StatefulSet", "LeaderWorkerSet"]).default("Deployment"),
  name: z.string().min(1),
});
const milliseconds = z.number("expected milliseconds as a plain number, such as 200").positive();
const slo = z.strictObject({
  ttftMs: milliseconds,
  itlMs: milliseconds,
  percentile: z.number().min(50).max(99.9).optional(),
});
const limits = z.strictObject({
  graph: z.enum(["disaggregated", "aggregated"]).default("disaggregated"),
  gpus: z.number().int().positive(),
  minimum: workers.optional(),
  maximum: workers.optional(),
  coolDownMs: z.number().min(0).optional(),
  downMargin: z.number().min(1).optional(),
});
const schema: z.ZodType<PlannerConfig> = z.strictObject({
  profile: z
    .string()
    .optional()
    .describe("profile.json of `stator profile`, relative to this file; by load alone when absent"),
  thresholds: z
    .strictObject({
      queueUp: z.number().positive().optional(),
      queueDown: z.number().min(0).optional(),
      kvUp: z.number().positive().max(1).optional(),
      kvDown: z.number().min(0).max(1).optional(),
      gpusPerWorker: workers.optional(),
    })
    .optional()
    .describe("of the mode without a profile"),
  slo,
  limits,
  metrics: z.strictObject({ urls: z.array(z.url()).min(1), model: z.string().optional() }),
  listen: z
    .strictObject({
      host: z.string().default("127.0.0.1"),
      rpcPort: z.number().int().min(0).max(65535).default(9110),
      httpPort: z.number().int().min(0).max(65535).default(9111),
    })
    .prefault({}),
  intervalSeconds: z.number().positive().default(30),
  forecasters: z
    .array(z.enum(["constant", "holt-winters", "kalman", "harmonic", "arima", "prophet"]))
    .min(1)
    .optional()
    .describe("which may be chosen; all but prophet when absent"),
  startupSeconds: z.number().min(0).default(60),
  scaler: z.discriminatedUnion("kind", [
    z.strictObject({ kind: z.literal("advisory"), workers }),
    z.strictObject({
      kind: z.literal("webhook"),
      url: z.url(),
      headers: z.record(z.string(), z.string()).optional(),
    }),
    z.strictObject({
      kind: z.literal("kubernetes"),
      namespace: z.string().min(1),
      server: z
        .url()
        .optional()
        .describe("such as that of kubectl proxy; the pod's own service account when absent"),
      kubeconfig: z.string().optional().describe("a file whose current context is used instead"),
      prefill: target.optional(),
      decode: target,
    }),
  ]),
});

/** What a simulation needs of `planner.yaml`: where to look and what to scale is its own, and so are times without a profile. */
export interface PlannerRules {
  readonly profile?: string | undefined;
  readonly slo?: Loose<Slo> | undefined;
  readonly limits: Loose<Limits>;
  readonly intervalSeconds: number;
  readonly startupSeconds: number;
}

const rules: z.ZodType<PlannerRules> = z.strictObject({
  profile: z.string().optional(),
  slo: slo.optional(),
  limits,
  intervalSeconds: z.number().positive().default(30),
  startupSeconds: z.number().min(0).default(60),
  // Of the planner's own process.
  thresholds: z.unknown().optional(),
  metrics: z.unknown().optional(),
  listen: z.unknown().optional(),
  forecasters: z.unknown().optional(),
  scaler: z.unknown().optional(),
});

/**
 * Reads `planner.yaml`; the profile's path in it is made absolute.
 *
 * @throws PlannerError `PLANNER_OPTION_INVALID` that names the file and every wrong field.
 */
export function readPlannerConfig(file: string): PlannerConfig {
  return withAbsoluteProfile(file, read(file, schema));
}

/**
 * Reads the same file for a simulation, which needs no metrics, no scaler, and may do without profile and SLO.
 *
 * @throws PlannerError `PLANNER_OPTION_INVALID` that names the file and every wrong field.
 */
export function readPlannerRules(file: string): PlannerRules {
  return withAbsoluteProfile(file, read(file, rules));
}

function withAbsoluteProfile<T extends { readonly profile?: string | undefined }>(
  file: string,
  config: T,
): T {
  if (config.profile === undefined) return config;
  return { ...config, profile: path.resolve(path.dirname(file), config.profile) };
}

function read<T>(file: string, shape: z.ZodType<T>): T {
  const document = parseDocument(readFileSync(file, "utf8"));
  const [broken] = document.errors;
  const result =
    broken === undefined ? shape.safeParse(document.toJS({ maxAliasCount: 100 }) ?? {}) : undefined;
  if (result?.success === true) return result.data;
  throw new PlannerError({
    code: "PLANNER_OPTION_INVALID",
    kind: "invalid",
    message: `${file} is no planner configuration${
      result === undefined
        ? `, nor YAML: ${broken!.message.trimEnd()}`
        : `.\n${z.prettifyError(result.error)}`
    }\n\`stator planner --help\` shows a whole one.`,
  });
}
