import type { Clock } from "@stator/core";

import { EnginesError } from "../errors/engines-error.ts";
import type { Transfer } from "../handoff/transfer.ts";
import type { StepTime } from "./steps/step-batch.ts";

export interface SimulatedEngineOptions {
  /** Model name of the card. Default "simulated". */
  readonly model?: string;
  /** Prompt and output together, in tokens. Default 32,768. */
  readonly contextTokens?: number;
  /** Tokens in one KV block, 1 to 16,384. Default 16. */
  readonly blockTokens?: number;
  /** KV blocks in all. Default 8,192 (131,072 tokens). */
  readonly kvBlocks?: number;
  /** Bytes that each block has on the wire when it is handed over, at least 8. Default 64. */
  readonly blockBytes?: number;
  /** Sequences that run at once; others wait. Default 256. */
  readonly maxRunning?: number;
  /** Requests that may wait; further ones are refused as overloaded. Default 1,024. */
  readonly maxWaiting?: number;
  /** Ids that one step computes, prompts and decodes together: the chunk of chunked prefill. Default 2,048. */
  readonly maxBatchedTokens?: number;
  /** Milliseconds of a step by what it computes. Default: 0, as fast as the machine can. */
  readonly stepTime?: StepTime;
  /** Probability that an output ends the generation, 0 to 1. Default 0: generations end by their budget. */
  readonly endProbability?: number;
  /** Another value is another model: other texts, KV that is not shared. Default 0. */
  readonly weightsSeed?: number;
  /** LoRA adapters that requests may name. Default none. */
  readonly adapters?: readonly string[];
  /** Worker id in KV events. Default "simulated". */
  readonly worker?: string;
  /** Epoch in KV events; `restart` makes a new one. Default "0". */
  readonly epoch?: string;
  /** How KV leaves and enters. Default: engines of this process hand over without a wire. */
  readonly transfer?: Transfer;
  /** How long KV is held for a decode engine without renewal. Default 10,000 ms. */
  readonly leaseMs?: number;
  /** What to do when handed-over KV cannot be fetched: fail the request (a router then falls back), or compute it here. Default "fail". */
  readonly onHandoffFailure?: "fail" | "recompute";
  /** Time. Default: the machine's clock. */
  readonly clock?: Clock;
  /** Called when the engine crashes, by hook or by poison: a worker process may want to die then. */
  readonly onCrash?: (reason: string) => void;
}

/** Throws `ENGINES_OPTION_INVALID` for the first number outside its range. */
export function checkOptions(options: SimulatedEngineOptions): void {
  const counts = [
    "contextTokens",
    "blockTokens",
    "kvBlocks",
    "maxRunning",
    "maxBatchedTokens",
    "leaseMs",
  ] as const;
  for (const name of counts) check(name, options[name], 1, Number.MAX_SAFE_INTEGER);
  check("maxWaiting", options.maxWaiting, 0, Number.MAX_SAFE_INTEGER);
  check("blockTokens", options.blockTokens, 1, 16_384);
  check("blockBytes", options.blockBytes, 8, 2 ** 30);
  check("endProbability", options.endProbability, 0, 1);
}

function check(name: string, value: number | undefined, least: number, most: number): void {
  if (value === undefined || (value >= least && value <= most)) return;
  throw new EnginesError({
    code: "ENGINES_OPTION_INVALID",
    kind: "invalid",
    message: `createSimulatedEngine: ${name} is ${value}; it must be from ${least} to ${most}.`,
    data: { option: name, value },
  });
}
