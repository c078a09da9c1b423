import { defaultDeadlines } from "@stator/core";
import { invalidOption } from "./errors/option-error.ts";

/** Bounds on what a client may send and hold. All are on by default. */
export interface OpenAILimits {
  /** Request body in bytes. Default 8 MiB. */
  readonly bodyBytes?: number;
  /** Bodies beyond this are parsed in a thread, in bytes: 256 KiB of token ids take some 10 ms. Default 256 KiB. */
  readonly inlineParseBytes?: number;
  /** Nesting of a JSON body. Default 64. */
  readonly jsonDepth?: number;
  /** Keys of one JSON object. Default 4,096. */
  readonly objectKeys?: number;
  /** Messages of one chat. Default 4,096. */
  readonly messages?: number;
  /** Tools of one request. Default 1,536. */
  readonly tools?: number;
  /** Stop strings of one request. Default 32. */
  readonly stops?: number;
  /** Choices of one request: prompts times `n`. Default 128. */
  readonly choices?: number;
  /** Requests worked on at once; more are answered 503 `overloaded`. Default 10,000. */
  readonly activeRequests?: number;
  /** Bytes of all bodies held at once, until they have become token ids; more is answered 503 `overloaded`. Default 512 MiB. */
  readonly heldBodyBytes?: number;
  /** How long a request waits for its model's first worker, in ms: `queueWaitMs` of the deadline table. Default 8 s. */
  readonly workerWaitMs?: number;
  /** A whole request in ms, from its body to its last byte. Default 10 min. */
  readonly requestMs?: number;
}

/** The defaults: reference figures of the project's bad-input catalogue and deadline table. */
export const defaultOpenAILimits: Required<OpenAILimits> = {
  bodyBytes: 8 * 1024 * 1024,
  inlineParseBytes: 256 * 1024,
  jsonDepth: 64,
  objectKeys: 4096,
  messages: 4096,
  tools: 1536,
  stops: 32,
  choices: 128,
  activeRequests: 10_000,
  heldBodyBytes: 512 * 1024 * 1024,
  workerWaitMs: defaultDeadlines.queueWaitMs,
  requestMs: defaultDeadlines.requestMs,
};

/** @throws FrontendError `FRONTEND_OPTION_INVALID` naming the limit that is not a positive integer. */
export function resolveLimits(limits: OpenAILimits | undefined): Required<OpenAILimits> {
  const resolved = { ...defaultOpenAILimits, ...limits };
  for (const [name, value] of Object.entries(resolved)) {
    if (!Number.isSafeInteger(value) || value < 1)
      throw invalidOption(`limits.${name}`, value, "a positive integer");
  }
  return resolved;
}
