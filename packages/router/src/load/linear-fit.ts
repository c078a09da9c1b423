/** A fitted line with its uncertainty. */
export interface LinearEstimate {
  readonly intercept: number;
  readonly slope: number;
  /** Standard deviation of what the line leaves unexplained. */
  readonly deviation: number;
}

/** Decayed sums of a least-squares line y = a + b x, both kept at or above zero. */
export interface LinearFit {
  readonly samples: number;
  /** Decayed sums: samples, their x, their y. */
  readonly sums: { readonly weight: number; readonly x: number; readonly y: number };
  add(x: number, y: number): void;
  /** The line, with `prior` counted as `priorWeight` samples spread around `priorX`. */
  estimate(prior: LinearEstimate, priorX: number, priorWeight: number): LinearEstimate;
}

/** `memory` is the number of samples after which an old one counts 1/e. */
export function createLinearFit(memory: number): LinearFit {
  const keep = Math.exp(-1 / memory);
  let samples = 0;
  let [w, x1, y1, xx, xy, yy] = [0, 0, 0, 0, 0, 0];
  return {
    get samples() {
      return samples;
    },
    get sums() {
      return { weight: w, x: x1, y: y1 };
    },
    add(x, y) {
      samples++;
      w = w * keep + 1;
      x1 = x1 * keep + x;
      y1 = y1 * keep + y;
      xx = xx * keep + x * x;
      xy = xy * keep + x * y;
      yy = yy * keep + y * y;
    },
    estimate(prior, priorX, priorWeight) {
      // The prior enters as two points on its line, at 0 and at twice `priorX`, half the weight each.
      const half = priorWeight / 2;
      const far = 2 * priorX;
      const farY = prior.intercept + prior.slope * far;
      const W = w + priorWeight;
      const X = x1 + half * far;
      const Y = y1 + half * (prior.intercept + farY);
      const XX = xx + half * far * far;
      const XY = xy + half * far * farY;
      const YY = yy + half * (prior.intercept ** 2 + farY ** 2);
      const determinant = W * XX - X * X;
      let slope =
        determinant > 1e-9 * W * XX ? (W * XY - X * Y) / determinant : XX > 0 ? XY / XX : prior.slope;
      slope = Math.max(0, slope);
      let intercept = (Y - slope * X) / W;
      if (intercept < 0) {
        intercept = 0;
        slope = XX > 0 ? Math.max(0, XY / XX) : slope;
      }
      const residual =
        YY -
        2 * intercept * Y -
        2 * slope * XY +
        W * intercept ** 2 +
        2 * intercept * slope * X +
        slope ** 2 * XX;
      return {
        intercept,
        slope,
        deviation: Math.sqrt(Math.max(0, residual) / W + (priorWeight / W) * prior.deviation ** 2),
      };
    },
  };
}
