import type { Clock, WorkerHealth } from "@stator/core";

/** How fast the workers of a pool decode, compared with one another. */
export interface PaceWatch {
  /** A batch of `tokens` came `sinceMs` after the one before it, from the worker with this health. */
  see(health: WorkerHealth, sinceMs: number, tokens: number): void;
  forget(health: WorkerHealth): void;
}

export interface PaceWatchOptions {
  readonly clock: Clock;
  /** Slower than the median of the others by this factor is an outlier. Default 4. */
  readonly factor?: number;
  /** Between two looks, in ms. Default 1,000. */
  readonly everyMs?: number;
}

interface Pace {
  msPerToken: number;
  samples: number;
}

/** Batches of a worker before its pace means something, and workers before a comparison does. */
const fewestSamples = 32;
const fewestWorkers = 3;
/** A pace below this is never slow, however fast the others are, in ms per token. */
const neverSlowMs = 5;

/** Tells the health of a worker that decodes much slower than its peers; the health's group decides by its cap. */
export function createPaceWatch({ clock, factor = 4, everyMs = 1_000 }: PaceWatchOptions): PaceWatch {
  const paces = new Map<WorkerHealth, Pace>();
  let nextLookMs = clock.now() + everyMs;

  const look = (): void => {
    const known = [...paces].filter(
      ([health, pace]) => pace.samples >= fewestSamples && health.state === "ready",
    );
    if (known.length < fewestWorkers) return;
    for (const [health, pace] of known) {
      const others = known
        .filter(([other]) => other !== health)
        .map(([, { msPerToken }]) => msPerToken)
        .sort((a, b) => a - b);
      const median = others[Math.floor(others.length / 2)]!;
      if (pace.msPerToken <= Math.max(neverSlowMs, factor * median)) continue;
      paces.delete(health);
      health.observe({ type: "outlier" });
    }
  };

  return {
    see(health, sinceMs, tokens) {
      let pace = paces.get(health);
      if (pace === undefined) paces.set(health, (pace = { msPerToken: 0, samples: 0 }));
      pace.samples += 1;
      const weight = Math.max(1 / pace.samples, 1 / fewestSamples);
      pace.msPerToken += (sinceMs / tokens - pace.msPerToken) * weight;
      const nowMs = clock.now();
      if (nowMs < nextLookMs) return;
      nextLookMs = nowMs + everyMs;
      look();
    },
    forget: (health) => void paces.delete(health),
  };
}
