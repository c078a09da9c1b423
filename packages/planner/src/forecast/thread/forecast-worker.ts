// The thread behind `createForecastThread`: intervals in, one report out.
import { parentPort, workerData } from "node:worker_threads";
import type { Interval } from "../../decision/types.ts";
import { arimaForecaster } from "../forecasters/arima.ts";
import { constantForecaster } from "../forecasters/constant.ts";
import { forecastLoad } from "../forecast-load.ts";
import type { ForecasterName } from "./forecast-thread.ts";
import type { Forecaster } from "../forecasters/forecaster.ts";
import { harmonicForecaster } from "../forecasters/harmonic.ts";
import { holtWintersForecaster } from "../forecasters/holt-winters.ts";
import { kalmanForecaster } from "../forecasters/kalman.ts";
import { loadProphetForecaster } from "../forecasters/prophet.ts";

interface Settings {
  readonly forecasters: readonly ForecasterName[];
  readonly horizonSteps: number;
  readonly leadSteps?: number;
  readonly coverage?: number;
  readonly stepSeconds: number;
}

const settings = workerData as Settings;
const makers: Readonly<Record<ForecasterName, () => Forecaster | Promise<Forecaster>>> = {
  constant: constantForecaster,
  "holt-winters": holtWintersForecaster,
  kalman: kalmanForecaster,
  harmonic: harmonicForecaster,
  arima: arimaForecaster,
  prophet: () => loadProphetForecaster({ stepSeconds: settings.stepSeconds }),
};
const forecasters = Promise.all(settings.forecasters.map((name) => makers[name]()));

parentPort?.on("message", (intervals: readonly Interval[]) => {
  forecasters
    .then((ready) =>
      parentPort?.postMessage({ report: forecastLoad(intervals, { ...settings, forecasters: ready }) }),
    )
    .catch((error: unknown) =>
      parentPort?.postMessage({ error: error instanceof Error ? error.message : String(error) }),
    );
});
