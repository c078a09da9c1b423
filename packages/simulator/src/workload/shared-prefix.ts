import { TRACE_BLOCK_TOKENS, type TraceRequest } from "./trace-request.ts";

export interface SharedPrefixOptions {
  /** Groups with a system prompt each. */
  readonly groups: number;
  /** Distinct questions per group. */
  readonly promptsPerGroup: number;
  readonly systemTokens: number;
  readonly questionTokens: number;
  readonly outputTokens: number;
  /** When requests arrive; one request each, drawn evenly over the prompts. */
  readonly arrivalsMs: readonly number[];
  readonly random: () => number;
}

/** Requests that share long system prompts in groups: the shape of llm-d's shared-prefix benchmark. */
export function sharedPrefixWorkload(options: SharedPrefixOptions): TraceRequest[] {
  const { groups, promptsPerGroup, systemTokens, questionTokens, outputTokens, random } = options;
  const systemBlocks = Math.floor(systemTokens / TRACE_BLOCK_TOKENS);
  const inputTokens = systemTokens + questionTokens;
  const blocks = Math.ceil(inputTokens / TRACE_BLOCK_TOKENS);
  const perGroup = systemBlocks + promptsPerGroup * (blocks - systemBlocks);
  return options.arrivalsMs.map((atMs) => {
    const group = Math.floor(random() * groups);
    const prompt = Math.floor(random() * promptsPerGroup);
    const own = group * perGroup + systemBlocks + prompt * (blocks - systemBlocks);
    const blockIds = Array.from({ length: blocks }, (_, i) =>
      i < systemBlocks ? group * perGroup + i : own + i - systemBlocks,
    );
    return { atMs, inputTokens, outputTokens, blockIds, session: `${group}/${prompt}` };
  });
}
