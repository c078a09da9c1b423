import { readFileSync } from "node:fs";
import path from "node:path";
import { parseDocument } from "yaml";
import { z } from "zod";
import { PlannerError, type Limits, type Slo, type Workers } from "@stator/planner";
import type { ScaleTarget } from "@stator/planner/kubernetes";

/** What `planner.yaml` holds. */
export interface PlannerConfig {
  readonly profile: string;
  readonly slo: Loose<Slo>;
  readonly limits: Loose<Limits>;
  readonly metrics: { readonly urls: readonly string[]; readonly model?: string | undefined };
  readonly intervalSeconds: number;
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
const schema: z.ZodType<PlannerConfig> = z.strictObject({
  profile: z.string().describe("profile.json of `stator profile`, relative to this file"),
  slo: z.strictObject({
    ttftMs: z.number().positive(),
    itlMs: z.number().positive(),
    percentile: z.number().min(50).max(99.9).optional(),
  }),
  limits: z.strictObject({
    graph: z.enum(["disaggregated", "aggregated"]).default("disaggregated"),
    gpus: z.number().int().positive(),
    minimum: workers.optional(),
    maximum: workers.optional(),
    coolDownMs: z.number().min(0).optional(),
    downMargin: z.number().min(1).optional(),
  }),
  metrics: z.strictObject({ urls: z.array(z.url()).min(1), model: z.string().optional() }),
  intervalSeconds: z.number().positive().default(30),
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
      server: z.url().optional().describe("the pod's own service account when absent"),
      prefill: target.optional(),
      decode: target,
    }),
  ]),
});

/**
 * Reads `planner.yaml`; the profile's path in it is made absolute.
 *
 * @throws PlannerError `PLANNER_OPTION_INVALID` that names the file and every wrong field.
 */
export function readPlannerConfig(file: string): PlannerConfig {
  const input: unknown = parseDocument(readFileSync(file, "utf8")).toJS({ maxAliasCount: 100 });
  const result = schema.safeParse(input);
  if (result.success)
    return { ...result.data, profile: path.resolve(path.dirname(file), result.data.profile) };
  throw new PlannerError({
    code: "PLANNER_OPTION_INVALID",
    kind: "invalid",
    message: `${file} is no planner configuration.\n${z.prettifyError(result.error)}`,
  });
}
