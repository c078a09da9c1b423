import { z } from "zod";
import { PlannerError } from "../planner-error.ts";

/** One measured prefill: a single request of `inputTokens` uncached tokens on an idle worker. */
export interface PrefillPoint {
  readonly inputTokens: number;
  readonly ttftMs: number;
}

/** One measured decode state: the time between tokens when `kvUsage` of the cache holds sequences of `contextTokens`. */
export interface DecodePoint {
  /** 0 to 1. */
  readonly kvUsage: number;
  /** Prompt and output so far, mean over the batch. */
  readonly contextTokens: number;
  readonly itlMs: number;
}

/** What one worker can do, measured or modelled. All that `plan` knows about engines and GPUs. */
export interface Profile {
  readonly version: 1;
  readonly model?: string | undefined;
  /** Where it came from: a measurement with its date, or the performance model with its system. */
  readonly source?: string | undefined;
  readonly prefill: { readonly gpusPerWorker: number; readonly points: readonly PrefillPoint[] };
  readonly decode: {
    readonly gpusPerWorker: number;
    /** Tokens of KV that one worker holds. */
    readonly maxKvTokens: number;
    readonly points: readonly DecodePoint[];
  };
}

const positive = z.number().positive();
const schema: z.ZodType<Profile> = z.strictObject({
  version: z.literal(1),
  model: z.string().optional(),
  source: z.string().optional(),
  prefill: z.strictObject({
    gpusPerWorker: z.number().int().positive(),
    points: z.array(z.strictObject({ inputTokens: positive, ttftMs: positive })).min(2),
  }),
  decode: z.strictObject({
    gpusPerWorker: z.number().int().positive(),
    maxKvTokens: positive,
    points: z
      .array(
        z.strictObject({ kvUsage: z.number().min(0).max(1.5), contextTokens: positive, itlMs: positive }),
      )
      .min(2),
  }),
});

/**
 * Checks a profile read from JSON.
 *
 * @throws PlannerError `PLANNER_PROFILE_INVALID` naming every wrong field.
 */
export function parseProfile(input: unknown): Profile {
  const result = schema.safeParse(input);
  if (result.success) return result.data;
  throw new PlannerError({
    code: "PLANNER_PROFILE_INVALID",
    kind: "invalid",
    message: `The profile is not valid.\n${z.prettifyError(result.error)}`,
  });
}
