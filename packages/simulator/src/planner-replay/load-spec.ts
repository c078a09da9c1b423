import {
  burstRate,
  constantRate,
  poissonArrivals,
  rampRate,
  sineRate,
  stepRate,
  type Rate,
} from "../workload/arrivals.ts";
import { seededRandom } from "../workload/random.ts";
import { simulatorError } from "../simulator-error.ts";
import type { TraceRequest } from "../workload/trace-request.ts";

/** A generated load: what arrives, and for how long it lasts. */
export interface GeneratedLoad {
  readonly workload: readonly TraceRequest[];
  readonly durationMs: number;
}

/** Keys of each kind with their defaults; times in seconds. All kinds also take `duration`, `isl`, `osl` and `seed`. */
export const loadKinds: Readonly<Record<string, Readonly<Record<string, number>>>> = {
  sine: { min: 5, max: 45, period: 600 },
  constant: { rate: 10 },
  step: { before: 5, after: 20, at: 600 },
  ramp: { from: 5, to: 45 },
  burst: { base: 5, burst: 40, every: 300, length: 30 },
  drop: { rate: 20, at: 600 },
  mix: { rate: 10, isl2: 500, osl2: 1000, period: 600, least: 0.2, most: 0.8 },
};
const common = { duration: 1800, isl: 3000, osl: 300, seed: 1 };

/**
 * Makes a load with Poisson arrivals of `kind,key=value,…`.
 *
 * @example
 * generateLoad("sine,min=5,max=45,period=600,duration=1800,isl=3000,osl=300");
 * @throws SimulatorError `SIMULATOR_RUN_INVALID` naming the kind or key that is not known.
 */
export function generateLoad(spec: string): GeneratedLoad {
  const [kind = "", ...pairs] = spec.split(",");
  const defaults = loadKinds[kind];
  if (defaults === undefined)
    throw simulatorError(
      "SIMULATOR_RUN_INVALID",
      `No load "${kind}". Known: ${Object.keys(loadKinds).join(", ")}.`,
    );
  const values: Record<string, number> = { ...common, ...defaults };
  for (const pair of pairs) {
    const [key = "", text = ""] = pair.split("=");
    const value = Number(text);
    if (!(key in values) || text === "" || !Number.isFinite(value) || value < 0)
      throw simulatorError(
        "SIMULATOR_RUN_INVALID",
        `"${pair}" is nothing ${kind} takes: key=value with a number of at least 0. Keys: ${Object.keys(values).join(", ")}.`,
      );
    values[key] = value;
  }
  const v = (key: string): number => values[key]!;
  const durationMs = v("duration") * 1000;
  const rates: Readonly<Record<string, () => Rate>> = {
    sine: () =>
      sineRate({
        midPerSecond: (v("min") + v("max")) / 2,
        amplitudePerSecond: (v("max") - v("min")) / 2,
        periodMs: v("period") * 1000,
      }),
    constant: () => constantRate(v("rate")),
    step: () => stepRate({ beforePerSecond: v("before"), afterPerSecond: v("after"), atMs: v("at") * 1000 }),
    ramp: () => rampRate({ fromPerSecond: v("from"), toPerSecond: v("to"), durationMs }),
    burst: () =>
      burstRate({
        basePerSecond: v("base"),
        burstPerSecond: v("burst"),
        everyMs: v("every") * 1000,
        durationMs: v("length") * 1000,
      }),
    drop: () => stepRate({ beforePerSecond: v("rate"), afterPerSecond: 0, atMs: v("at") * 1000 }),
    mix: () => constantRate(v("rate")),
  };
  const arrivals = poissonArrivals({ rate: rates[kind]!(), durationMs, seed: v("seed") });
  const random = seededRandom(v("seed") + 1);
  const isSecond = (atMs: number): boolean => {
    if (kind !== "mix") return false;
    const wave = (1 - Math.cos((2 * Math.PI * atMs) / (v("period") * 1000))) / 2;
    return random() < v("least") + (v("most") - v("least")) * wave;
  };
  return {
    durationMs,
    workload: arrivals.map((atMs) => {
      const second = isSecond(atMs);
      return {
        atMs,
        inputTokens: v(second ? "isl2" : "isl"),
        outputTokens: v(second ? "osl2" : "osl"),
        blockIds: [],
      };
    }),
  };
}
