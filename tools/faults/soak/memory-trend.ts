import { seededRandom } from "../statistics.ts";

/** At a minute of the run, a size: of memory, in any unit. */
export type SizeAt = readonly [minute: number, size: number];

/** How a size moves, in percent of its median an hour, and where that lies with 95 % confidence. */
export interface Trend {
  readonly pctPerHour: number;
  readonly interval: readonly [low: number, high: number];
}

export interface TrendVerdict {
  readonly verdict: "held" | "grows" | "cannot tell";
  /** About how much longer a run would have to be to tell, at this noise and if the slope stays; only when it cannot tell. */
  readonly needsMoreMinutes?: number;
}

/**
 * Minutes of which only the lowest sample counts. What a process holds for good is its floor; above it lies what the allocators
 * have not given back yet, and that noise has one side.
 */
export const windowMinutes = 2;

const resamples = 2_000;
/** More than a day to wait for is no advice. */
const mostMinutes = 1_440;

/** The lowest point of each window. */
export function lowerEnvelope<Point>(
  points: readonly Point[],
  minute: (point: Point) => number,
  size: (point: Point) => number,
): readonly Point[] {
  const lowest = new Map<number, Point>();
  for (const point of points) {
    const window = Math.floor(minute(point) / windowMinutes);
    const known = lowest.get(window);
    if (known === undefined || size(point) < size(known)) lowest.set(window, point);
  }
  return [...lowest.values()];
}

/**
 * The slope of the lower envelope: the median of the slopes between all pairs of its points (Theil 1950, Sen 1968), which outliers
 * do not move. The interval is that of a bootstrap of the residuals in blocks (Künsch 1989), because what comes one after the other
 * resembles itself; it needs about ten windows to mean something.
 */
export function trendOf(points: readonly SizeAt[], seed: number = 1): Trend {
  const floor = lowerEnvelope(
    points,
    ([minute]) => minute,
    ([, size]) => size,
  );
  const level = median(floor.map(([, size]) => size));
  const count = floor.length;
  if (count < 3 || level === 0) return { pctPerHour: 0, interval: [-Infinity, Infinity] };
  const slope = medianSlope(floor);
  const offset = median(floor.map(([minute, size]) => size - slope * minute));
  // Two parameters were fitted: residuals are smaller than the noise by that much.
  const inflation = Math.sqrt(count / (count - 2));
  const residuals = floor.map(([minute, size]) => (size - offset - slope * minute) * inflation);
  const block = Math.ceil(count ** (1 / 3));
  const random = seededRandom(seed);
  const slopes = Array.from({ length: resamples }, () => {
    const again: SizeAt[] = [];
    while (again.length < count) {
      const from = Math.floor(random() * count);
      for (let i = 0; i < block && again.length < count; i++)
        again.push([floor[again.length]![0], residuals[(from + i) % count]!]);
    }
    return slope + medianSlope(again);
  }).sort((a, b) => a - b);
  const percent = (perMinute: number): number => Math.round((perMinute / level) * 600_000) / 100;
  return {
    pctPerHour: percent(slope),
    interval: [
      percent(slopes[Math.floor(0.025 * resamples)]!),
      percent(slopes[Math.ceil(0.975 * resamples) - 1]!),
    ],
  };
}

/** Whether a size stays under the slope that is aimed at, of a trend measured over so many minutes. */
export function verdictOf(
  { pctPerHour, interval: [low, high] }: Trend,
  aim: number,
  minutes: number,
): TrendVerdict {
  if (high <= aim) return { verdict: "held" };
  if (low > aim) return { verdict: "grows" };
  const needed = pctPerHour <= aim ? high - pctPerHour : pctPerHour - low;
  const had = Math.abs(aim - pctPerHour);
  // Noise of a slope falls with the length of the run to the power of 3/2: it is longer, and has more points.
  const longer = had === 0 || !Number.isFinite(needed) ? Infinity : minutes * ((needed / had) ** (2 / 3) - 1);
  return { verdict: "cannot tell", needsMoreMinutes: Math.min(mostMinutes, Math.max(1, Math.ceil(longer))) };
}

function medianSlope(points: readonly SizeAt[]): number {
  const slopes: number[] = [];
  for (let i = 0; i < points.length; i++) {
    for (let j = i + 1; j < points.length; j++) {
      const [x, y] = points[i]!;
      const [later, size] = points[j]!;
      if (later !== x) slopes.push((size - y) / (later - x));
    }
  }
  return median(slopes);
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? sorted[middle]! : ((sorted[middle - 1] ?? 0) + (sorted[middle] ?? 0)) / 2;
}
