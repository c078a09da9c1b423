import { readFile } from "node:fs/promises";
import { CoreError } from "@stator/core";
import { policyByName, taints, type SelectorOptions } from "@stator/router";
import { parse } from "yaml";
import { z } from "zod";
import { withoutUndefined } from "../options.ts";

const weight = z.number().min(0).optional();

const schema = z.strictObject({
  listen: z
    .strictObject({
      host: z.string().default("127.0.0.1"),
      rpcPort: z.number().int().min(0).max(65535).default(9100),
      httpPort: z.number().int().min(0).max(65535).default(9101),
    })
    .prefault({}),
  model: z.string().min(1).describe("the one model that this router routes"),
  policy: z
    .strictObject({ name: z.string(), options: z.record(z.string(), z.unknown()).optional() })
    .prefault({ name: "kv-aware" }),
  taints: z.boolean().default(false).describe("labels taint:NAME keep away whoever does not require them"),
  indexBytes: z.number().int().positive().optional().describe("memory of the prefix index"),
  cost: z
    .strictObject({
      prefillExternality: weight,
      transferFixedMs: weight,
      transferMsPerToken: weight,
      hostMsPerToken: weight,
      diskMsPerToken: weight,
      sharedMsPerToken: weight,
    })
    .optional()
    .describe("CostOptions of @stator/router"),
  speculativeTtlMs: weight.describe("how long a decision stands in for a worker's KV events"),
  approximateTtlMs: weight.describe("how long a decision is believed where a worker sends no KV events"),
  seed: z.number().int().optional().describe("of random choices"),
  decisions: z.string().optional().describe("a file to which every decision is appended, for offline replay"),
  logLevel: z.enum(["debug", "info", "warn", "error", "silent"]).default("warn"),
  replicas: z
    .strictObject({
      nats: z.string().optional().describe("nats://…: every router of the model there"),
      peers: z.array(z.url()).default([]).describe("RouterService addresses of other routers"),
      namespace: z.string().default("default").describe("separates deployments that share a NATS server"),
    })
    .optional()
    .describe("other routers of the same model: bookings, workers and KV events are shared with them"),
  leaseMs: z.number().positive().optional().describe("how long a reservation outlives its last progress"),
});

export interface RouterConfig {
  readonly listen: { readonly host: string; readonly rpcPort: number; readonly httpPort: number };
  readonly model: string;
  readonly selector: SelectorOptions;
  readonly leaseMs: number | undefined;
  readonly decisions: string | undefined;
  readonly logLevel: "debug" | "info" | "warn" | "error" | "silent";
  readonly replicas:
    | { readonly nats?: string | undefined; readonly peers: readonly string[]; readonly namespace: string }
    | undefined;
}

/**
 * Reads the configuration of `stator router`: selector options and addresses, nothing else.
 *
 * @throws CoreError `CORE_OPTION_INVALID` that names the file and every wrong field.
 */
export async function readRouterConfig(file: string): Promise<RouterConfig> {
  const fail = (detail: string): CoreError =>
    new CoreError({ code: "CORE_OPTION_INVALID", kind: "invalid", message: `${file}: ${detail}` });
  const text = await readFile(file, "utf8").catch((error: unknown) => {
    throw fail(String(error));
  });
  const result = schema.safeParse(parse(text, { maxAliasCount: 100 }));
  if (!result.success) throw fail(z.prettifyError(result.error));
  const { listen, model, policy, indexBytes, leaseMs, replicas, decisions, logLevel, cost } = result.data;
  const { speculativeTtlMs, approximateTtlMs, seed } = result.data;
  return {
    listen,
    model,
    leaseMs,
    replicas,
    decisions,
    logLevel,
    selector: {
      policy: policyByName(policy.name, policy.options),
      ...(result.data.taints ? { filters: [taints()] } : {}),
      ...(indexBytes === undefined ? {} : { index: { maxBytes: indexBytes } }),
      ...(cost === undefined ? {} : { cost: withoutUndefined(cost) }),
      ...withoutUndefined({ speculativeTtlMs, approximateTtlMs, seed }),
    },
  };
}
