import { exponential, seededRandom } from "./random.ts";

/** Requests per second at a time in milliseconds from the start. */
export interface Rate {
  (atMs: number): number;
}

/** The same rate throughout. */
export function constantRate(perSecond: number): Rate {
  return () => perSecond;
}

/** `mid + amplitude * sin(2 pi t / period - pi / 2)`: starts at its lowest. */
export function sineRate(options: {
  readonly midPerSecond: number;
  readonly amplitudePerSecond: number;
  readonly periodMs: number;
}): Rate {
  const { midPerSecond, amplitudePerSecond, periodMs } = options;
  return (atMs) =>
    Math.max(0, midPerSecond + amplitudePerSecond * Math.sin((2 * Math.PI * atMs) / periodMs - Math.PI / 2));
}

/** One rate before `atMs`, another from then on. */
export function stepRate(options: {
  readonly beforePerSecond: number;
  readonly afterPerSecond: number;
  readonly atMs: number;
}): Rate {
  return (atMs) => (atMs < options.atMs ? options.beforePerSecond : options.afterPerSecond);
}

/** From one rate to another in a straight line over `durationMs`, then flat. */
export function rampRate(options: {
  readonly fromPerSecond: number;
  readonly toPerSecond: number;
  readonly durationMs: number;
}): Rate {
  const { fromPerSecond, toPerSecond, durationMs } = options;
  return (atMs) => fromPerSecond + (toPerSecond - fromPerSecond) * Math.min(1, atMs / durationMs);
}

/** A base rate with bursts of `durationMs` every `everyMs`. */
export function burstRate(options: {
  readonly basePerSecond: number;
  readonly burstPerSecond: number;
  readonly everyMs: number;
  readonly durationMs: number;
}): Rate {
  return (atMs) =>
    atMs % options.everyMs < options.durationMs ? options.burstPerSecond : options.basePerSecond;
}

export interface ArrivalOptions {
  readonly rate: Rate;
  readonly durationMs: number;
  /** Default 1. */
  readonly seed?: number;
}

/**
 * Arrival times in milliseconds of a Poisson process with a rate that may change in time. The integral of the rate is
 * taken in steps of 10 ms; within a step the rate counts as constant.
 */
export function poissonArrivals(options: ArrivalOptions): number[] {
  const { rate, durationMs } = options;
  const random = seededRandom(options.seed ?? 1);
  const stepMs = 10;
  const arrivals: number[] = [];
  let left = exponential(random);
  for (let fromMs = 0; fromMs < durationMs; fromMs += stepMs) {
    const perMs = rate(fromMs) / 1000;
    let atMs = fromMs;
    const endMs = Math.min(durationMs, fromMs + stepMs);
    while (perMs > 0 && left <= perMs * (endMs - atMs)) {
      atMs += left / perMs;
      arrivals.push(atMs);
      left = exponential(random);
    }
    left -= perMs * (endMs - atMs);
  }
  return arrivals;
}
