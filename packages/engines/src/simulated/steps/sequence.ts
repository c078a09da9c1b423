import { createBlockNamer, type BlockNamer, type GenerateRequest } from "@stator/core";

import { createSampler, type Chosen, type Sampler } from "../../sampling/sampler.ts";
import type { Digest } from "../model/token-function.ts";
import type { TokenOutput } from "../../output/token-output.ts";

/** One choice on its way through the engine. Owned and changed by the scheduler and the stepper. */
export interface Sequence {
  readonly request: GenerateRequest;
  readonly promptTokens: number;
  /** Prompt and output. */
  ids: Uint32Array;
  length: number;
  /** Leading ids whose KV is in `blocks`. */
  computed: number;
  blocks: number[];
  /** Names blocks as they fill. */
  readonly namer: BlockNamer;
  /** Full blocks that were published already. */
  published: number;
  /** Output index of the next id. */
  outputs: number;
  readonly maxOutputs: number;
  readonly sampler: Sampler;
  readonly ends: ReadonlySet<number>;
  readonly biased: Iterable<number> | undefined;
  readonly output: TokenOutput;
  /** KV content of leading blocks that came with a handoff. */
  received: readonly (Digest | undefined)[];
  readonly scope: string;
  isOver: boolean;
  /** The last id that was chosen, once finished. */
  last: Chosen | undefined;
  /** Whether the first batch said how much was cached. */
  saidCached: boolean;
}

export interface SequenceOptions {
  readonly request: GenerateRequest;
  readonly outputIds: ArrayLike<number>;
  readonly endIds: readonly number[];
  /** Prompt and output together. */
  readonly contextTokens: number;
  readonly blockTokens: number;
  readonly output: TokenOutput;
}

export function createSequence({
  request,
  outputIds,
  endIds,
  contextTokens,
  blockTokens,
  output,
}: SequenceOptions): Sequence {
  const { promptIds, limits, sampling, adapter, tenantSalt } = request;
  const room = contextTokens - promptIds.length;
  const maxOutputs = Math.min(limits.maxTokens, room);
  const ids = new Uint32Array(promptIds.length + outputIds.length + 64);
  ids.set(promptIds);
  ids.set(outputIds, promptIds.length);
  return {
    request,
    promptTokens: promptIds.length,
    ids,
    length: promptIds.length + outputIds.length,
    computed: 0,
    blocks: [],
    namer: createBlockNamer({
      blockTokens,
      ...(adapter === undefined ? {} : { adapter }),
      ...(tenantSalt === undefined ? {} : { salt: tenantSalt }),
    }),
    published: 0,
    outputs: outputIds.length,
    maxOutputs,
    sampler: createSampler({ request: { ...request, outputIds: Uint32Array.from(outputIds) }, endIds }),
    ends: new Set([...(limits.ignoreEos === true ? [] : endIds), ...(limits.stopIds ?? [])]),
    biased: sampling.logitBias === undefined ? undefined : [...sampling.logitBias.keys()],
    output,
    received: [],
    scope: `${adapter ?? ""}\u0000${tenantSalt ?? ""}`,
    isOver: false,
    last: undefined,
    saidCached: false,
  };
}

/** Appends an id, growing the array by half when it is full. */
export function appendId(sequence: Sequence, id: number): void {
  if (sequence.length === sequence.ids.length) {
    const larger = new Uint32Array(Math.ceil(sequence.ids.length * 1.5));
    larger.set(sequence.ids);
    sequence.ids = larger;
  }
  sequence.ids[sequence.length++] = id;
}

/** Names of the leading `blocks` full blocks. */
export function namesOf({ namer, ids }: Sequence, blocks: number): BigUint64Array {
  if (namer.blocks < blocks) namer.append(ids.subarray(namer.tokens, blocks * namer.blockTokens));
  return namer.names();
}
