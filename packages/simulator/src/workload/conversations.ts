import { poissonArrivals, type Rate } from "./arrivals.ts";
import { exponential, logNormal, seededRandom } from "./random.ts";
import { TRACE_BLOCK_TOKENS, type TraceRequest } from "./trace-request.ts";

export interface ConversationOptions {
  /** Conversations started per second. */
  readonly rate: Rate;
  readonly durationMs: number;
  /** Mean turns of a conversation, at least 1. Default 3. */
  readonly meanTurns?: number;
  /** System prompt that all share, in tokens. Default 512. */
  readonly systemTokens?: number;
  /** Tokens that a turn adds: median and 90th percentile. Default 2000 and 12000. */
  readonly turnTokens?: readonly [number, number];
  /** Default 300 and 900. */
  readonly outputTokens?: readonly [number, number];
  /** Mean time between an answer and the next turn, in milliseconds. Default 20000. */
  readonly thinkMs?: number;
  /** Default 1. */
  readonly seed?: number;
}

/** Multi-turn conversations: each turn repeats what came before and adds to it. The generator that ships with the project. */
export function conversationWorkload(options: ConversationOptions): TraceRequest[] {
  const {
    meanTurns = 3,
    systemTokens = 512,
    turnTokens = [2000, 12_000],
    outputTokens = [300, 900],
    thinkMs = 20_000,
  } = options;
  const random = seededRandom((options.seed ?? 1) + 1);
  const systemBlocks = Math.floor(systemTokens / TRACE_BLOCK_TOKENS);
  let nextId = systemBlocks;
  const requests: TraceRequest[] = [];
  const starts = poissonArrivals({
    rate: options.rate,
    durationMs: options.durationMs,
    seed: options.seed ?? 1,
  });
  starts.forEach((startMs, conversation) => {
    const history = Array.from({ length: systemBlocks }, (_, i) => i);
    let atMs = startMs;
    let tokens = systemBlocks * TRACE_BLOCK_TOKENS;
    do {
      tokens += Math.max(1, Math.round(logNormal(random, turnTokens[0], turnTokens[1])));
      while (history.length < Math.floor(tokens / TRACE_BLOCK_TOKENS)) history.push(nextId++);
      const output = Math.max(1, Math.round(logNormal(random, outputTokens[0], outputTokens[1])));
      const hasPartial = tokens % TRACE_BLOCK_TOKENS !== 0;
      requests.push({
        atMs,
        inputTokens: tokens,
        outputTokens: output,
        blockIds: hasPartial ? [...history, nextId++] : [...history],
        session: `c${conversation}`,
      });
      tokens += output;
      atMs += exponential(random) * thinkMs + 1;
    } while (random() > 1 / meanTurns);
  });
  return requests.sort((a, b) => a.atMs - b.atMs);
}
