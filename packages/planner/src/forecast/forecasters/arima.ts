import ARIMA from "arima";
import { defaultCoverage, withIntervals, type Forecaster } from "./forecaster.ts";
import { continued, straightSlope } from "./straight-line.ts";

/**
 * Auto-ARIMA (the `arima` package: ctsa in WebAssembly). A search that ends at (0, d, 0), which only repeats the last
 * value, is tried again on log(1 + x). An exactly straight series is short-cut: the search never ends on one.
 */
export function arimaForecaster(): Forecaster {
  return {
    name: "arima",
    minimumPoints: 8,
    forecast(series, { horizonSteps, coverage = defaultCoverage }) {
      const slope = straightSlope(series);
      if (slope !== undefined)
        return withIntervals(continued(series, slope, horizonSteps), () => 0, coverage);
      const plain = search(series, horizonSteps);
      if (plain !== undefined && !isFlat(plain.mean))
        return withIntervals(plain.mean, (h) => plain.deviation[h - 1]!, coverage);
      const log = search(
        series.map((value) => Math.log1p(value)),
        horizonSteps,
      );
      if (log === undefined || isFlat(log.mean)) {
        const last = series[series.length - 1]!;
        const fallback = plain ?? {
          mean: new Array<number>(horizonSteps).fill(last),
          deviation: new Array<number>(horizonSteps).fill(spread(series)),
        };
        return withIntervals(fallback.mean, (h) => fallback.deviation[h - 1]!, coverage);
      }
      const mean = log.mean.map((value) => Math.expm1(Math.min(40, value)));
      // Delta method: the deviation of expm1(x) is that of x times its derivative.
      return withIntervals(mean, (h) => log.deviation[h - 1]! * (1 + mean[h - 1]!), coverage);
    },
  };
}

interface Outcome {
  readonly mean: number[];
  readonly deviation: number[];
}

function search(series: readonly number[], steps: number): Outcome | undefined {
  const model = new ARIMA({ auto: true, p: 3, d: 2, q: 3, verbose: false });
  try {
    const [mean, variance] = quietly(() => model.train([...series]).predict(steps));
    const largest = 100 * Math.max(1, ...series.map(Math.abs));
    if (!mean.every((value) => Number.isFinite(value) && Math.abs(value) <= largest)) return undefined;
    return {
      mean,
      deviation: variance.map((value) =>
        Number.isFinite(value) ? Math.sqrt(Math.max(0, value)) : spread(series),
      ),
    };
  } catch {
    return undefined;
  } finally {
    model.destroy();
  }
}

interface Output {
  write: (...text: never[]) => boolean;
}

/** Runs `work` without what it prints: the search's C code tells its doubts to standard output, where answers may be. */
function quietly<T>(work: () => T): T {
  const { stdout } = (globalThis as { process?: { stdout?: Output } }).process ?? {};
  if (stdout === undefined) return work();
  const hadOwn = Object.hasOwn(stdout, "write");
  const { write } = stdout;
  stdout.write = () => true;
  try {
    return work();
  } finally {
    if (hadOwn) stdout.write = write;
    else delete (stdout as Partial<Output>).write;
  }
}

function isFlat(mean: readonly number[]): boolean {
  return mean.every((value) => value === mean[0]);
}

function spread(series: readonly number[]): number {
  const average = series.reduce((sum, value) => sum + value, 0) / series.length;
  return Math.sqrt(series.reduce((sum, value) => sum + (value - average) ** 2, 0) / series.length);
}
