import { z } from "zod";
import { FrontendError, invalidParam } from "../../errors.ts";
import type { OpenAILimits } from "../limits.ts";

/** A finite number; -0 is no number that a client means. */
const number = z.number().refine((value) => !Object.is(value, -0), "must not be -0");
const integer = number.int();
const count = integer.min(1).max(2 ** 31 - 1);

/** The shared fields after checking. */
export interface SamplingFields {
  readonly model: string;
  readonly stream: boolean | undefined;
  readonly stream_options: { readonly include_usage?: boolean | undefined } | undefined;
  readonly temperature: number | undefined;
  readonly top_p: number | undefined;
  readonly top_k: number | undefined;
  readonly min_p: number | undefined;
  readonly seed: bigint | undefined;
  readonly stop: readonly string[] | undefined;
  readonly stop_token_ids: readonly number[] | undefined;
  readonly max_tokens: number | undefined;
  readonly min_tokens: number | undefined;
  readonly n: number | undefined;
  readonly presence_penalty: number | undefined;
  readonly frequency_penalty: number | undefined;
  readonly repetition_penalty: number | undefined;
  readonly logit_bias: ReadonlyMap<number, number> | undefined;
  readonly ignore_eos: boolean | undefined;
  readonly user: string | undefined;
}

/** The request fields that `/v1/chat/completions` and `/v1/completions` share, by OpenAI's names, ranges included. */
export function samplingFields(limits: Required<OpenAILimits>): {
  readonly [Field in keyof SamplingFields]: z.ZodType<SamplingFields[Field]>;
} {
  return {
    model: z.string(),
    stream: z.boolean().optional(),
    stream_options: z.object({ include_usage: z.boolean().optional() }).optional(),
    temperature: number.min(0).max(2).optional(),
    top_p: number.gt(0).max(1).optional(),
    top_k: integer
      .min(-1)
      .max(2 ** 31 - 1)
      .optional(),
    min_p: number.min(0).max(1).optional(),
    seed: z
      .union([z.bigint(), z.int()], "expected an integer")
      .transform((seed) => BigInt(seed))
      .refine((seed) => seed >= -(2n ** 63n) && seed < 2n ** 64n, "must fit 64 bits")
      .transform((seed) => BigInt.asUintN(64, seed))
      .optional(),
    stop: z
      .union(
        [z.string().min(1).max(1024), z.array(z.string().min(1).max(1024)).max(limits.stops)],
        `expected a string or up to ${limits.stops} strings, each of 1 to 1,024 characters`,
      )
      .transform((stop) => (typeof stop === "string" ? [stop] : stop))
      .optional(),
    stop_token_ids: z
      .array(integer.min(0).max(2 ** 32 - 1))
      .max(limits.stops)
      .optional(),
    max_tokens: count.optional(),
    min_tokens: integer
      .min(0)
      .max(2 ** 31 - 1)
      .optional(),
    n: integer.min(1).max(limits.choices).optional(),
    presence_penalty: number.min(-2).max(2).optional(),
    frequency_penalty: number.min(-2).max(2).optional(),
    repetition_penalty: number.gt(0).max(2).optional(),
    logit_bias: z
      .custom<Record<string, unknown>>(isPlainObject, "expected an object of token ids")
      .transform(logitBias)
      .optional(),
    ignore_eos: z.boolean().optional(),
    user: z.string().max(512).optional(),
  };
}

/** Arrays excluded; own keys only ever read, never assigned anywhere. */
export function isPlainObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !ArrayBuffer.isView(value);
}

function logitBias(value: Record<string, unknown>, context: z.RefinementCtx): ReadonlyMap<number, number> {
  const bias = new Map<number, number>();
  for (const [key, amount] of Object.entries(value)) {
    if (!/^(0|[1-9]\d{0,9})$/.test(key) || Number(key) > 0xffffffff) {
      context.addIssue({ code: "custom", message: "its keys must be token ids" });
      return z.NEVER;
    }
    if (typeof amount !== "number" || !(amount >= -100 && amount <= 100)) {
      context.addIssue({ code: "custom", message: "its values must be numbers from -100 to 100" });
      return z.NEVER;
    }
    bias.set(Number(key), amount);
  }
  return bias;
}

/**
 * Checks a body. A top-level null counts as absent, as OpenAI has it; fields that nobody knows are ignored.
 *
 * @throws FrontendError `FRONTEND_PARAM_INVALID` naming the first field at fault.
 */
export function parseFields<Schema extends z.ZodType>(schema: Schema, body: unknown): z.infer<Schema> {
  if (!isPlainObject(body)) {
    throw new FrontendError({
      code: "FRONTEND_BODY_INVALID",
      kind: "invalid",
      message: "The request body must be a JSON object.",
    });
  }
  const present = Object.create(null) as Record<string, unknown>;
  for (const [key, value] of Object.entries(body)) if (value !== null) present[key] = value;
  const result = schema.safeParse(present);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  const param = (issue?.path ?? [])
    .map((part, i) => (typeof part === "number" ? `[${part}]` : i === 0 ? String(part) : `.${String(part)}`))
    .join("");
  throw invalidParam(param, `${param}: ${issue?.message ?? "invalid"}.`);
}

/** @throws FrontendError `FRONTEND_PARAM_UNSUPPORTED` for a field that asks for what this server does not do. */
export function refuse(param: string, message: string): never {
  throw new FrontendError({ code: "FRONTEND_PARAM_UNSUPPORTED", kind: "invalid", message, data: { param } });
}

/** Checks that concern several fields. */
export function checkTogether(fields: Pick<SamplingFields, "stream" | "stream_options">): void {
  if (fields.stream_options !== undefined && fields.stream !== true) {
    throw invalidParam("stream_options", "stream_options is only allowed when stream is true.");
  }
}
