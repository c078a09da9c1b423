import { Worker } from "node:worker_threads";
import { sleep, systemClock } from "@stator/core";
import type { Interval } from "../../decision/types.ts";
import { PlannerError } from "../../planner-error.ts";
import type { LoadForecastReport } from "../forecast-load.ts";

/** Names of the built-in forecasters. */
export type ForecasterName = "constant" | "holt-winters" | "kalman" | "harmonic" | "arima" | "prophet";

export interface ForecastThreadOptions {
  /** Which may be chosen. Default all but `prophet`, whose fits take about a second each. */
  readonly forecasters?: readonly ForecasterName[];
  /** As of `forecastLoad`; `horizonOf` makes both. */
  readonly horizonSteps: number;
  readonly leadSteps?: number;
  /** As of `forecastLoad`. Default 0.4. */
  readonly coverage?: number;
  /** Length of an interval, for the forecasters that know days. Default 60. */
  readonly stepSeconds?: number;
  /** A forecast takes at most this long; then it fails and the planner goes on with the last value. Default 30,000. */
  readonly deadlineMs?: number;
}

/** Forecasts in a thread of their own, so that no fit ever holds up serving. */
export interface ForecastThread {
  /** @throws PlannerError `PLANNER_FORECAST_FAILED` */
  forecast(intervals: readonly Interval[]): Promise<LoadForecastReport>;
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** Default forecasters, cheapest first. */
export const defaultForecasters: readonly ForecasterName[] = [
  "constant",
  "holt-winters",
  "kalman",
  "harmonic",
  "arima",
];

type Answer = { readonly report: LoadForecastReport } | { readonly error: string };

/** In a checkout the thread's sources need tsx, which older Node versions take into a thread only this way. */
function sourceBootstrap(): string {
  const file = new URL("./forecast-worker.ts", import.meta.url).href;
  return `import("tsx/esm/api").then(({ register }) => { register(); return import(${JSON.stringify(file)}); })`;
}

export function createForecastThread(options: ForecastThreadOptions): ForecastThread {
  const { deadlineMs = 30_000 } = options;
  let worker: Worker | undefined;
  let last: Promise<unknown> = Promise.resolve();
  let isClosed = false;

  const start = (): Worker => {
    const settings = {
      workerData: { forecasters: defaultForecasters, stepSeconds: 60, ...options },
      stdout: true,
    };
    const started = import.meta.url.endsWith(".ts")
      ? new Worker(sourceBootstrap(), { ...settings, eval: true, execArgv: ["--conditions=@stator/source"] })
      : new Worker(new URL("./forecast-worker.js", import.meta.url), settings);
    started.stdout.resume();
    // One that dies between two forecasts is started anew with the next.
    const lost = (): void => {
      if (worker === started) worker = undefined;
    };
    started.on("error", lost).on("exit", lost);
    started.unref();
    return started;
  };

  const ask = async (intervals: readonly Interval[]): Promise<LoadForecastReport> => {
    if (isClosed)
      throw new PlannerError({
        code: "PLANNER_FORECAST_FAILED",
        kind: "cancelled",
        message: "Forecasting failed: the forecast thread was closed.",
      });
    worker ??= start();
    const asked = worker;
    const stop = new AbortController();
    let answered: (answer: Answer) => void = () => undefined;
    const onMessage = (answer: Answer): void => answered(answer);
    const onError = (error: Error): void => answered({ error: error.message });
    const onExit = (code: number): void => answered({ error: `the forecast thread ended with code ${code}` });
    try {
      const answer = await Promise.race([
        new Promise<Answer>((resolve) => {
          answered = resolve;
          asked.once("message", onMessage).once("error", onError).once("exit", onExit);
          asked.postMessage(intervals);
        }),
        sleep(systemClock, deadlineMs, stop.signal).then((): Answer => ({
          error: `no forecast within ${deadlineMs} ms`,
        })),
      ]);
      if ("report" in answer) return answer.report;
      worker = undefined;
      await asked.terminate();
      throw new PlannerError({
        code: "PLANNER_FORECAST_FAILED",
        kind: "internal",
        message: `Forecasting failed: ${answer.error}.`,
      });
    } finally {
      stop.abort(new Error("done"));
      // Not all listeners: by one of its own a Worker starts its port again when somebody listens once more.
      asked.off("message", onMessage).off("error", onError).off("exit", onExit);
    }
  };

  const thread: ForecastThread = {
    forecast(intervals) {
      const result = last.then(() => ask(intervals));
      last = result.catch(() => undefined);
      return result;
    },
    async close() {
      isClosed = true;
      // A fit in progress is given up: whoever waits for it hears so.
      await worker?.terminate();
      await last;
      worker = undefined;
    },
    [Symbol.asyncDispose]: () => thread.close(),
  };
  return thread;
}
