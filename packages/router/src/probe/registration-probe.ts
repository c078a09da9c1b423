import { sleep, type Clock, type WorkerHandle } from "@stator/core";
import type { ProbeRecord, Selector, Target, TargetLoad } from "../selector/selector.ts";
import { attemptProbe } from "./probe-attempt.ts";
import { probePrompt, reasonToSkip } from "./probe-prompt.ts";

/** After a worker joined, its first prompts may prove it meanwhile; and routers do not all ask at once. */
const FIRST_MS = 1_000;
/** Prompts whose blocks do not come back before a probe has failed: first events of a new subscription get lost. */
const MOST_MISSED = 3;
const MOST_ATTEMPTS = 8;
const BACKOFF_MS = 500;
const LONGEST_BACKOFF_MS = 10_000;
/** Workers that one pool probes at once. */
const AT_ONCE = 4;

export interface RegistrationProbesOptions {
  readonly selector: Selector;
  readonly clock: Clock;
  /** Hears every record, after the selector took it. */
  readonly onRecord?: (target: Target, record: ProbeRecord) => void;
  /** Uniform in [0, 1). Default `Math.random`. */
  readonly random?: () => number;
}

/** Probes of the workers of one pool. */
export interface RegistrationProbes {
  /** Probes one life of a worker in the background, rank by rank. Returns how to stop. */
  start(handle: WorkerHandle): () => void;
}

/**
 * Proves, soon after a worker joined and without a client's prompt, that a block stored there comes back as a KV event under
 * the name that this router gives it: block size, tokenizer, hash scheme and feed in one. A prompt of a few blocks and one
 * output token goes straight to the engine: it is not booked, no request event tells of it, and the worker serves meanwhile.
 * The selector keeps what came of it.
 */
export function createRegistrationProbes(options: RegistrationProbesOptions): RegistrationProbes {
  const { selector, clock, onRecord, random = Math.random } = options;
  const waiting: (() => void)[] = [];
  let running = 0;

  const tell = (target: Target, record: ProbeRecord): void => {
    if (selector.probed(target, record) === "applied") onRecord?.(target, record);
  };
  const stateOf = ({ worker, epoch, rank }: Target): TargetLoad | undefined =>
    selector.loads().find((one) => one.worker === worker && one.epoch === epoch && one.rank === rank);

  async function probe(handle: WorkerHandle, target: Target, signal: AbortSignal): Promise<void> {
    let [missed, attempt, detail, isOrdinary] = [0, 0, "", false];
    while (attempt < MOST_ATTEMPTS && missed < MOST_MISSED) {
      const known = stateOf(target)?.probe;
      if (known?.outcome === "passed") {
        onRecord?.(target, known);
        return;
      }
      const request = probePrompt(handle, target.rank, { attempt: ++attempt, random, isOrdinary });
      const { outcome, why } = await attemptProbe({ selector, clock }, handle, target, request, signal);
      if (outcome === "passed") {
        tell(target, { outcome: "passed", attempts: attempt });
        return;
      }
      if (outcome === "missed") missed++;
      // Not every server takes a priority; the next prompt goes without.
      if (outcome === "refused") isOrdinary = true;
      detail = why;
      tell(target, { outcome: "waiting", attempts: attempt, detail });
      if (missed < MOST_MISSED) await sleep(clock, backoffMs(attempt) * (0.5 + random() / 2), signal);
    }
    tell(target, { outcome: missed > 0 ? "failed" : "unproven", attempts: attempt, detail });
  }

  async function probeAll(
    handle: WorkerHandle,
    targets: readonly Target[],
    signal: AbortSignal,
  ): Promise<void> {
    await sleep(clock, FIRST_MS * (0.5 + random() / 2), signal);
    while (running >= AT_ONCE) await new Promise<void>((resolve) => waiting.push(resolve));
    running++;
    try {
      for (const target of targets) {
        signal.throwIfAborted();
        const why = reasonToSkip(handle, selector.nextSequence(target.worker) !== undefined);
        if (why === undefined) await probe(handle, target, signal);
        else tell(target, { outcome: "skipped", attempts: 0, detail: why });
      }
    } finally {
      running--;
      waiting.shift()?.();
    }
  }

  return {
    start(handle) {
      const { id: worker, epoch, ranks } = handle.worker;
      const targets = Array.from({ length: Math.max(1, ranks) }, (_, rank) => ({ worker, epoch, rank }));
      const controller = new AbortController();
      for (const target of targets) tell(target, { outcome: "waiting", attempts: 0 });
      probeAll(handle, targets, controller.signal).catch((error: unknown) => {
        // Stopped: the worker left, or its pool is closed.
        if (controller.signal.aborted) return;
        for (const target of targets)
          if (stateOf(target)?.probe.outcome === "waiting")
            tell(target, { outcome: "unproven", attempts: 0, detail: String(error) });
      });
      return () => {
        controller.abort();
        // Whoever waits for a place looks again: one that was stopped goes away.
        for (const go of waiting.splice(0)) go();
      };
    },
  };
}

function backoffMs(attempt: number): number {
  return Math.min(BACKOFF_MS * 2 ** (attempt - 1), LONGEST_BACKOFF_MS);
}
