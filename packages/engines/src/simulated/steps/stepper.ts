import type { Finish } from "@stator/core";

import type { BlockPool } from "../kv/block-pool.ts";
import type { StepItem } from "./scheduler.ts";
import { appendId, namesOf, type Sequence } from "./sequence.ts";
import { tokenKv, type Digest, type TokenFunction } from "../model/token-function.ts";

export interface StepperOptions {
  readonly pool: BlockPool;
  readonly blockTokens: number;
  readonly tokens: TokenFunction;
  readonly weightsSeed: number;
  /** Called when a step computes a poisoned id. */
  isPoisoned(id: number): boolean;
  onPoison(): void;
  /** Called after a sequence got its last id: by budget, by an end id, or because prefill was all that was asked. */
  onFinished(sequence: Sequence, finish: Finish | undefined): void;
}

/** Does what a step computes: writes KV block by block and chooses the next id of each sequence that is complete. */
export function createStepper(options: StepperOptions): (items: readonly StepItem[]) => void {
  const { pool, blockTokens, tokens, weightsSeed } = options;
  const digest: Digest = { low: 0, high: 0 };
  const kv: Digest = { low: 0, high: 0 };

  const compute = (sequence: Sequence, count: number): boolean => {
    // Read back from the blocks at every step: KV that is wrong or not this sequence's changes what comes out.
    pool.readAll(sequence.blocks, digest);
    for (let i = 0; i < count; i++) {
      const position = sequence.computed++;
      const id = sequence.ids[position]!;
      if (options.isPoisoned(id)) return false;
      tokenKv(digest, id, position, weightsSeed, kv);
      pool.append(sequence.blocks[Math.floor(position / blockTokens)]!, kv);
      digest.low = (digest.low + kv.low) | 0;
      digest.high = (digest.high + kv.high) | 0;
    }
    const full = Math.floor(sequence.computed / blockTokens);
    if (full > sequence.published) {
      pool.publish(
        sequence.blocks,
        sequence.published,
        full,
        namesOf(sequence, full),
        sequence.ids,
        sequence.scope,
      );
      sequence.published = full;
    }
    return true;
  };

  const choose = (sequence: Sequence): void => {
    const lastId = sequence.ids[sequence.length - 1]!;
    const { id, logprob } = sequence.sampler.next(tokens.logits(digest, lastId, sequence.biased));
    appendId(sequence, id);
    sequence.outputs++;
    const finish: Finish | undefined = sequence.ends.has(id)
      ? { reason: "stop", stopId: id }
      : sequence.outputs >= sequence.maxOutputs
        ? { reason: "length" }
        : undefined;
    if (finish !== undefined || sequence.request.mode === "prefill") {
      sequence.last = { id, logprob };
      options.onFinished(sequence, finish);
    } else {
      sequence.output.push(id, logprob, undefined);
    }
  };

  return (items) => {
    for (const { sequence, tokens: count } of items) {
      if (sequence.isOver) continue;
      if (!compute(sequence, count)) {
        options.onPoison();
        return;
      }
      if (sequence.computed === sequence.length) choose(sequence);
    }
  };
}
