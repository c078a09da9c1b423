import type { Clock, Logger, Meter } from "@stator/core";
import type { TierPlugin } from "@stator/kv-transfer";

import { EnginesError } from "../errors/engines-error.ts";
import type { Transfer } from "../handoff/transfer.ts";

export interface LlamaEngineOptions {
  /** A GGUF file; `tinyModelPath()` is the bundled one. */
  readonly modelPath: string;
  /** Model name of the card. Default: the file's `general.name`, else its base name. */
  readonly model?: string;
  /** A Hugging Face `tokenizer.json`, for models whose tokenizer cannot be converted. Default: converted from the GGUF. */
  readonly tokenizerPath?: string;
  /** Prompt and output of one request together, in tokens. Default: what the model was trained for, at most 4,096. */
  readonly contextTokens?: number;
  /** Requests that run at once; each has its own KV of `contextTokens`. Default 4. */
  readonly sequences?: number;
  /** Tokens in one KV block. Default 16. */
  readonly blockTokens?: number;
  /** Tokens computed in one step: the chunk of chunked prefill; at least 2. Default 512. */
  readonly batchTokens?: number;
  /**
   * The same ids, to the last bit of the logits, whatever else runs and however a prompt is split: flash attention off,
   * KV in F32, one sequence per batch. Default: true for the bundled model, false for others (it doubles their KV, and
   * with several threads it slows them).
   */
  readonly exact?: boolean;
  /** Threads of llama.cpp. Default 1: with more threads than idle cores it becomes hundreds of times slower. */
  readonly threads?: number;
  /**
   * Where KV blocks of earlier requests are kept when their sequence is used for something else, fastest first; from there
   * they come back in place of being computed again. Default: 128 MiB of host memory. `[]` keeps none. Blocks are written to
   * tiers that outlive this process as soon as their request ends.
   */
  readonly tiers?: readonly TierPlugin[];
  /** Where state files are for a moment. Default: /dev/shm, else the system's temporary folder. */
  readonly stateFolder?: string;
  /** Requests that may wait; further ones are refused as overloaded. Default 256. */
  readonly maxWaiting?: number;
  /** Worker id in KV events. Default "llama". */
  readonly worker?: string;
  /** Epoch in KV events. Default "0". */
  readonly epoch?: string;
  /** How KV leaves and enters. Default: an agent of its own, over memory within a process or host, and TCP on 127.0.0.1. */
  readonly transfer?: Transfer;
  /** How long KV is held for a decode engine without renewal. Default 10,000 ms. */
  readonly leaseMs?: number;
  /** What to do when handed-over KV cannot be fetched: fail the request (a router then falls back), or compute it here. Default "fail". */
  readonly onHandoffFailure?: "fail" | "recompute";
  readonly clock?: Clock;
  readonly logger?: Logger;
  /** Measures the tiers. */
  readonly meter?: Meter;
}

/** Throws `ENGINES_OPTION_INVALID` for the first number outside its range. */
export function checkLlamaOptions(options: LlamaEngineOptions): void {
  const least = {
    contextTokens: 2,
    sequences: 1,
    blockTokens: 1,
    batchTokens: 2,
    threads: 1,
    maxWaiting: 0,
    leaseMs: 1,
  };
  for (const [name, minimum] of Object.entries(least) as [keyof typeof least, number][]) {
    const value = options[name];
    if (value === undefined || (Number.isInteger(value) && value >= minimum)) continue;
    throw new EnginesError({
      code: "ENGINES_OPTION_INVALID",
      kind: "invalid",
      message: `createLlamaEngine: ${name} is ${value}; it must be a whole number from ${minimum}.`,
      data: { option: name, value },
    });
  }
}
