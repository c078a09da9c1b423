import type { Clock, WorkerHealth } from "@stator/core";

/** How fast the workers of a pool decode, compared with one another. */
export interface PaceWatch {
  /** A batch of `tokens` came `sinceMs` after the one before it, from the worker with this health. */
  see(health: WorkerHealth, sinceMs: number, tokens: number): void;
  /** Whether a worker that was let in for one request only kept up with the others. */
  isProbeSlow(health: WorkerHealth): boolean;
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
/** The same of one request that probes: it has a few tokens only. */
const fewestProbeSamples = 4;
/** A pace below this is never slow, however fast the others are, in ms per token. */
const neverSlowMs = 5;

/** Tells the health of a worker that decodes much slower than its peers; the health's group decides by its cap. */
export function createPaceWatch({ clock, factor = 4, everyMs = 1_000 }: PaceWatchOptions): PaceWatch {
  const paces = new Map<WorkerHealth, Pace>();
  let nextLookMs = clock.now() + everyMs;

  /** Those whose pace means something, other than this one. */
  const othersThan = (health: WorkerHealth): readonly number[] =>
    [...paces]
      .filter(
        ([other, { samples }]) => other !== health && samples >= fewestSamples && other.state === "ready",
      )
      .map(([, { msPerToken }]) => msPerToken)
      .sort((a, b) => a - b);
  const isSlow = (health: WorkerHealth, { msPerToken }: Pace): boolean => {
    const others = othersThan(health);
    if (others.length + 1 < fewestWorkers) return false;
    return msPerToken > Math.max(neverSlowMs, factor * others[Math.floor(others.length / 2)]!);
  };
  const look = (): void => {
    for (const [health, pace] of paces) {
      if (pace.samples < fewestSamples || health.state !== "ready" || !isSlow(health, pace)) continue;
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
    isProbeSlow(health) {
      const pace = paces.get(health);
      if (pace === undefined || pace.samples < fewestProbeSamples || !isSlow(health, pace)) return false;
      paces.delete(health);
      return true;
    },
    forget: (health) => void paces.delete(health),
  };
}
