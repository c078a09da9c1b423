import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { constantForecaster } from "./constant.ts";
import { defaultCoverage, withIntervals, type Forecaster } from "./forecaster.ts";
import { continued, straightSlope } from "./straight-line.ts";

export interface ProphetForecasterOptions {
  /** Seconds of one step, which decide what days and weeks mean. Default 60. */
  readonly stepSeconds?: number;
}

/**
 * Prophet (Taylor and Letham 2018) with its Stan model in WebAssembly, from the `augurs` packages. About a second a fit:
 * for long histories with days and weeks in them, off the main thread. Its optimiser fails on series without any noise: a
 * straight one is continued instead, and where it fails all the same the last value goes on.
 */
export async function loadProphetForecaster({
  stepSeconds = 60,
}: ProphetForecasterOptions = {}): Promise<Forecaster> {
  const [{ Prophet, initSync }, { optimizer }, module] = await Promise.all([
    import("@bsull/augurs/prophet"),
    import("@bsull/augurs-prophet-wasmstan"),
    readFile(
      createRequire(import.meta.url)
        .resolve("@bsull/augurs/prophet")
        .replace(/prophet\.js$/, "prophet_bg.wasm"),
    ),
  ]);
  initSync({ module });
  return {
    name: "prophet",
    minimumPoints: 10,
    forecast(series, { horizonSteps, coverage = defaultCoverage }) {
      const slope = straightSlope(series);
      if (slope !== undefined)
        return withIntervals(continued(series, slope, horizonSteps), () => 0, coverage);
      const model = new Prophet({ optimizer, intervalWidth: coverage });
      try {
        model.fit({ ds: series.map((_, t) => t * stepSeconds), y: [...series] });
        const ds = Array.from({ length: horizonSteps }, (_, h) => (series.length + h) * stepSeconds);
        const { yhat } = model.predict({ ds });
        const cut = (values: readonly number[]): number[] => values.map((value) => Math.max(0, value));
        const mean = cut(yhat.point);
        return {
          mean,
          lower:
            yhat.intervals === undefined
              ? mean
              : cut(yhat.intervals.lower).map((value, i) => Math.min(value, mean[i]!)),
          upper:
            yhat.intervals === undefined
              ? mean
              : cut(yhat.intervals.upper).map((value, i) => Math.max(value, mean[i]!)),
        };
      } catch {
        return constantForecaster().forecast(series, { horizonSteps, coverage });
      } finally {
        model.free();
      }
    },
  };
}
