/**
 * Attribute names of the OpenTelemetry GenAI conventions, in one place: they are in development and change. Version of
 * the conventions: 1.37, with the cache attributes of 2026.
 */
export const genAi = {
  operation: "gen_ai.operation.name",
  provider: "gen_ai.provider.name",
  requestModel: "gen_ai.request.model",
  maxTokens: "gen_ai.request.max_tokens",
  temperature: "gen_ai.request.temperature",
  seed: "gen_ai.request.seed",
  inputTokens: "gen_ai.usage.input_tokens",
  outputTokens: "gen_ai.usage.output_tokens",
  cacheReadTokens: "gen_ai.usage.cache_read.input_tokens",
  finishReasons: "gen_ai.response.finish_reasons",
  timeToFirstChunk: "gen_ai.response.time_to_first_chunk",
} as const;

/** Attributes of our own. Content is never among them. */
export const own = {
  requestId: "stator.request.id",
  choice: "stator.request.choice",
  attempt: "stator.attempt",
  worker: "stator.worker",
  epoch: "stator.worker.epoch",
  role: "stator.worker.role",
  mode: "stator.mode",
  phase: "stator.route.phase",
  policy: "stator.route.policy",
  reason: "stator.route.reason",
  costMs: "stator.route.cost_ms",
  cachedTokens: "stator.route.cached_tokens",
  candidates: "stator.route.candidates",
  heldTokens: "stator.kv.held_tokens",
  from: "stator.kv.from",
  to: "stator.kv.to",
  /** True on errors, migrations and missed objectives: a collector's tail rule keeps those. */
  keep: "stator.keep",
} as const;
