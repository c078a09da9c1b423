import type {
  Engine,
  Finish,
  GenerateOptions,
  GenerateRequest,
  RequestEvent,
  TokenLogprob,
} from "@stator/core";

/** Everything of one choice that a client sees. Two runs are the same when these are equal. */
export interface Collected {
  readonly ids: readonly number[];
  readonly finish: Finish;
  /** When asked for: one per id. */
  readonly logprobs?: readonly TokenLogprob[];
}

/**
 * Runs a request to its end.
 *
 * @throws what the engine throws; Error when the stream ends without its final batch, or its indexes have a gap.
 */
export async function collect(
  engine: Engine,
  request: GenerateRequest,
  options: Partial<GenerateOptions> = {},
): Promise<Collected> {
  const signal = options.signal ?? new AbortController().signal;
  const ids: number[] = [];
  const logprobs: TokenLogprob[] = [];
  const from = request.outputIds.length;
  for await (const batch of engine.generate(request, { ...options, signal })) {
    if (batch.ids.length > 0 && batch.firstIndex !== from + ids.length) {
      throw new Error(
        `Request ${request.id}: a batch begins at output index ${batch.firstIndex}, not ${from + ids.length}.`,
      );
    }
    ids.push(...batch.ids);
    if (batch.logprobs !== undefined) logprobs.push(...batch.logprobs);
    if (batch.finish !== undefined) {
      return { ids, finish: batch.finish, ...(request.topLogprobs === undefined ? {} : { logprobs }) };
    }
  }
  throw new Error(`Request ${request.id}: the stream ended after ${ids.length} ids without its final batch.`);
}

/** Text of byte-level ids, as the simulated engine's tokenizer has them: id `b` below 256 is byte `b`, others are special. */
export function textOf(ids: readonly number[]): string {
  return new TextDecoder().decode(Uint8Array.from(ids.filter((id) => id < 256)));
}

/** Runs a request to its end on a simulated engine's graph and returns its text. */
export async function collectText(
  engine: Engine,
  request: GenerateRequest,
  options?: Partial<GenerateOptions>,
): Promise<string> {
  return textOf((await collect(engine, request, options)).ids);
}

/** Keeps what is told of requests. */
export interface EventLog {
  readonly events: readonly RequestEvent[];
  readonly onEvent: (event: RequestEvent) => void;
  of<Type extends RequestEvent["type"]>(type: Type): Extract<RequestEvent, { type: Type }>[];
}

export function createEventLog(): EventLog {
  const events: RequestEvent[] = [];
  return {
    events,
    onEvent: (event) => void events.push(event),
    of: <Type extends RequestEvent["type"]>(type: Type) =>
      events.filter((event): event is Extract<RequestEvent, { type: Type }> => event.type === type),
  };
}
