import { defaultCoverage, withIntervals, type Forecaster } from "./forecaster.ts";

export interface KalmanOptions {
  /** Least variance of observations, such as the counting noise of arrivals: rate over seconds. Default 0. */
  readonly leastVariance?: number;
}

/**
 * Local linear trend by a Kalman filter: state (level, slope), F = [[1, 1], [0, 1]], H = [1, 0]. Noise is scaled to the
 * series: R is its high-frequency variance, and the ratio of level and slope noise to R is chosen by likelihood.
 */
export function kalmanForecaster(options: KalmanOptions = {}): Forecaster {
  return {
    name: "kalman",
    minimumPoints: 5,
    forecast(series, { horizonSteps, coverage = defaultCoverage }) {
      const noise = Math.max(1e-9, options.leastVariance ?? 0, observationVariance(series));
      let best: State | undefined;
      for (const levelShare of [0.01, 0.1, 0.5, 2]) {
        for (const slopeShare of [0.0001, 0.001, 0.01, 0.1]) {
          const state = filter(series, noise, levelShare * noise, slopeShare * noise);
          if (best === undefined || state.logLikelihood > best.logLikelihood) best = state;
        }
      }
      const s = best!;
      const mean = Array.from({ length: horizonSteps }, (_, h) => s.level + (h + 1) * s.slope);
      const variance = (h: number): number =>
        s.p00 + 2 * h * s.p01 + h * h * s.p11 + h * s.q0 + (s.q1 * h * (h - 1) * (2 * h - 1)) / 6 + s.r;
      return withIntervals(mean, (h) => Math.sqrt(variance(h)), coverage);
    },
  };
}

interface State {
  readonly level: number;
  readonly slope: number;
  readonly p00: number;
  readonly p01: number;
  readonly p11: number;
  readonly q0: number;
  readonly q1: number;
  readonly r: number;
  readonly logLikelihood: number;
}

/** Half the variance of second differences over 3: what is left of white noise after a linear trend is removed. */
function observationVariance(series: readonly number[]): number {
  let sum = 0;
  for (let t = 2; t < series.length; t++) sum += (series[t]! - 2 * series[t - 1]! + series[t - 2]!) ** 2;
  return sum / Math.max(1, series.length - 2) / 6;
}

function filter(series: readonly number[], r: number, q0: number, q1: number): State {
  let level = series[0]!;
  let slope = 0;
  // The first value is as good as any other; of the slope nothing is known.
  let p00 = r;
  let p01 = 0;
  let p11 = 1000 * r;
  let logLikelihood = 0;
  for (let t = 1; t < series.length; t++) {
    level += slope;
    p00 += 2 * p01 + p11 + q0;
    p01 += p11;
    p11 += q1;
    const innovation = series[t]! - level;
    const total = p00 + r;
    logLikelihood -= 0.5 * (Math.log(total) + (innovation * innovation) / total);
    const k0 = p00 / total;
    const k1 = p01 / total;
    level += k0 * innovation;
    slope += k1 * innovation;
    p11 -= k1 * p01;
    p01 -= k0 * p01;
    p00 -= k0 * p00;
  }
  return { level, slope, p00, p01, p11, q0, q1, r, logLikelihood };
}
