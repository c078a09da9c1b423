import {
  linkAbort,
  sleep,
  StatorError,
  type Clock,
  type GenerateRequest,
  type WorkerHandle,
} from "@stator/core";
import type { Selector, Target } from "../selector/selector.ts";

/** One prompt of a few blocks, in milliseconds. */
const PROMPT_MS = 10_000;
/** From a prompt's end to its KV events, in milliseconds: as long as prompts of clients are given. */
const EVENTS_MS = 3_000;
const LOOK_MS = 50;

/**
 * - `passed`: its blocks came back. - `missed`: it ran, and they did not. - `refused`: the engine does not take such a prompt.
 * - `failed`: it could not be run now.
 */
export interface ProbeAttempt {
  readonly outcome: "passed" | "missed" | "refused" | "failed";
  /** Empty where it passed. */
  readonly why: string;
}

/** Runs one probe prompt at an engine and waits until the selector holds its blocks. Rejects only by `signal`. */
export async function attemptProbe(
  { selector, clock }: { readonly selector: Selector; readonly clock: Clock },
  handle: WorkerHandle,
  target: Target,
  request: GenerateRequest,
  signal: AbortSignal,
): Promise<ProbeAttempt> {
  const { names } = selector.prepare(request);
  const held = (): number =>
    selector.holdings(names).find(({ worker, rank }) => worker === target.worker && rank === target.rank)
      ?.blocks ?? 0;
  const sequence = selector.nextSequence(target.worker);
  try {
    await run(clock, handle, request, signal);
  } catch (error) {
    signal.throwIfAborted();
    const isRefused = StatorError.isInstance(error) && error.kind === "invalid";
    const why = `the prompt could not be run: ${error instanceof Error ? error.message : String(error)}`;
    return { outcome: isRefused ? "refused" : "failed", why };
  }
  const untilMs = clock.now() + EVENTS_MS;
  while (held() < names.length) {
    if (clock.now() >= untilMs) {
      const hasNews = selector.nextSequence(target.worker) !== sequence;
      return { outcome: "missed", why: diagnosis(handle, held(), names.length, hasNews) };
    }
    await sleep(clock, LOOK_MS, signal);
  }
  return { outcome: "passed", why: "" };
}

async function run(
  clock: Clock,
  { engine }: WorkerHandle,
  request: GenerateRequest,
  signal: AbortSignal,
): Promise<void> {
  const stop = linkAbort(signal);
  const timer = clock.schedule(PROMPT_MS, () =>
    stop.abort(new Error(`no answer within ${PROMPT_MS / 1000} s`)),
  );
  // An engine that hangs may not hear the abort either.
  const stopped = new Promise<never>((_, reject) =>
    stop.signal.addEventListener("abort", () => reject(stop.signal.reason as Error), { once: true }),
  );
  const running = (async () => {
    for await (const { finish } of engine.generate(request, { signal: stop.signal }))
      if (finish !== undefined) return;
  })();
  try {
    await Promise.race([running, stopped]);
  } finally {
    timer.cancel();
    stop.unlink();
    running.catch(() => undefined);
  }
}

/** What to look at, by how far the blocks came. */
function diagnosis({ card }: WorkerHandle, held: number, blocks: number, hasNews: boolean): string {
  const { blockTokens } = card;
  if (held > 0)
    return `${held} of ${blocks} blocks came back: compare the engine's block size with the ${blockTokens} tokens of its card, and index.maxBytes with what the workers hold.`;
  if (hasNews)
    return `KV events came, but none named these blocks: compare the engine's block size with the ${blockTokens} tokens of its card, then tokenizer, hash scheme and KV group.`;
  return `No KV event came within ${EVENTS_MS / 1000} s: see that the engine publishes them (vLLM, SGLang: --kv-events-config; TensorRT-LLM: event_buffer_max_size), and that its worker reads them at that address (kvEvents).`;
}
