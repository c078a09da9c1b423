import { createRequest, type GenerateRequest, type ModelCard, type WorkerHandle } from "@stator/core";

/** Every probe's request id begins so: it is no client's, and nothing that counts requests hears of it. */
export const probeIdPrefix: string = "stator-probe-";

/** Full blocks of a probe prompt, and tokens at least: short blocks alone would repeat what a cache holds by chance. */
const BLOCKS = 2;
const LEAST_TOKENS = 16;
/** Behind everything that clients send. */
const PRIORITY = -100;
/** Ids that every vocabulary has, above the special ones. */
const FIRST_ID = 16;
const IDS = 96;

/** Why this worker is not probed, or undefined. `hasEvents`: some came already. */
export function reasonToSkip({ worker, card, engine }: WorkerHandle, hasEvents: boolean): string | undefined {
  if (engine.onStatus === undefined || (engine.snapshot === undefined && !hasEvents))
    return "its engine tells no KV events: it is routed by this router's own decisions";
  if (!(card.blockTokens > 0)) return "its card names no block size";
  if (lengthOf(card) + 1 > card.contextTokens)
    return `a prompt of ${lengthOf(card)} tokens does not fit in its context of ${card.contextTokens}`;
  const pairs = card.connectors.find(({ style }) => style === "rendezvous");
  if (pairs !== undefined && worker.role !== "both")
    return `with ${pairs.name} it works only as half of a pair: its first prompts prove it`;
  return undefined;
}

/** A prompt that no cache holds, just long enough that its blocks are full before its one token is made. */
export function probePrompt(
  { worker, card }: WorkerHandle,
  rank: number,
  { attempt, random, isOrdinary }: ProbePromptOptions,
): GenerateRequest {
  const special = new Set(card.specialIds.eos);
  const promptIds = Uint32Array.from({ length: lengthOf(card) }, () => {
    for (;;) {
      const id = FIRST_ID + Math.floor(random() * IDS);
      if (!special.has(id)) return id;
    }
  });
  return createRequest({
    // Several routers may ask one worker at once.
    id: `${probeIdPrefix}${worker.id}-${rank}-${attempt}-${hex(random, 8)}`,
    model: worker.model,
    promptIds,
    limits: { maxTokens: 1 },
    // Not sampled: a probe is in nobody's trace, and makes none of its own (W3C Trace Context, 3.2.2.5).
    traceparent: `00-${hex(random, 32)}-${hex(random, 16)}-00`,
    ...(isOrdinary ? {} : { priority: PRIORITY }),
    ...(worker.ranks > 1 ? { hints: { pin: { worker: worker.id, rank } } } : {}),
  });
}

export interface ProbePromptOptions {
  readonly attempt: number;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  /** Without a priority: some servers refuse any while they do not schedule by it. */
  readonly isOrdinary: boolean;
}

function lengthOf({ blockTokens }: ModelCard): number {
  return blockTokens * Math.max(BLOCKS, Math.ceil(LEAST_TOKENS / blockTokens)) + 1;
}

function hex(random: () => number, digits: number): string {
  return Array.from({ length: digits }, () => Math.floor(random() * 16).toString(16)).join("");
}
