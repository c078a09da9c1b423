// `npm run bench -- planner --json [--trace FILE]`: the replays of the planner's figures in virtual time, and how long a
// plan takes on this machine.
import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import {
  constantForecaster,
  forecastLoad,
  harmonicForecaster,
  holtWintersForecaster,
  kalmanForecaster,
  plan,
  type Interval,
} from "@stator/planner";
import {
  generateLoad,
  modelledTimes,
  parseMooncakeTrace,
  plannerReplay,
  profileOfTimes,
  type PlannerReplayRow,
} from "@stator/simulator";

const round = (value: number, digits = 3): number => Number(value.toFixed(digits));
const strip = ({ timeline: _timeline, decisions: _decisions, ...row }: PlannerReplayRow): object => row;

export async function run(args: readonly string[]): Promise<unknown> {
  const { values } = parseArgs({
    args: [...args],
    options: { trace: { type: "string" }, seeds: { type: "string", default: "1,2,3,4,5" } },
  });
  const times = modelledTimes();
  const profile = profileOfTimes(times);
  const limits = { graph: "disaggregated", gpus: 16 } as const;
  const base = { times, profile, limits, intervalMs: 30_000 };

  const sine = values.seeds.split(",").map((seed) => {
    const rows = plannerReplay({
      ...base,
      ...generateLoad(`sine,min=5,max=45,period=600,duration=1800,isl=3000,osl=300,seed=${seed}`),
      slo: { ttftMs: 200, itlMs: 10 },
      startupMs: 30_000,
    });
    const of = (name: string): PlannerReplayRow => rows.find((row) => row.strategy === name)!;
    return {
      seed: Number(seed),
      goodputPerGpuHourOverStatic: round(of("ours").goodputPerGpuHour / of("static").goodputPerGpuHour - 1),
      goodputPerGpuHourOverDensestStatic: round(
        of("ours").goodputPerGpuHour / of("static").mostPerGpuHour!.goodputPerGpuHour - 1,
      ),
      gpuHoursOverOracle: round(of("ours").gpuHours / of("oracle").gpuHours - 1),
      rows: rows.map(strip),
    };
  });

  // Other shapes of load: the SLO kept, few changes, and the minimum where nothing comes.
  const loads = [
    "constant,rate=20,duration=900",
    "step,before=5,after=25,at=300,duration=900",
    "ramp,from=2,to=40,duration=1200",
    "burst,base=5,burst=30,every=300,length=60,duration=1200",
    "drop,rate=20,at=300,duration=900",
    "mix,rate=12,period=600,duration=1200",
  ].map((load) => {
    const rows = plannerReplay({
      ...base,
      ...generateLoad(load),
      slo: { ttftMs: 200, itlMs: 10 },
      startupMs: 30_000,
      strategies: ["static", "reactive", "dynamo-0.4", "ours"],
    });
    const own = rows.find((row) => row.strategy === "ours")!;
    return {
      load,
      lastTarget: own.timeline.at(-1)!.target,
      rows: rows.map(({ strategy, sloAttainment, gpuHours, scaleUps, scaleDowns }) => ({
        strategy,
        sloAttainment: round(sloAttainment, 4),
        gpuHours: round(gpuHours),
        scaleUps,
        scaleDowns,
      })),
    };
  });

  const conversation =
    values.trace === undefined
      ? undefined
      : [0, 30, 60, 90, 120].map((startupSeconds) => {
          const workload = parseMooncakeTrace(readFileSync(values.trace!, "utf8"));
          const [row] = plannerReplay({
            ...base,
            workload,
            slo: { ttftMs: 1500, itlMs: 50 },
            startupMs: startupSeconds * 1000,
            strategies: ["ours"],
          });
          return { startupSeconds, ...strip(row!) };
        });
  return {
    physics: times.source,
    sine,
    loads,
    ...(conversation === undefined ? {} : { conversation }),
    planMs: planMs(),
  };

  function planMs(): object {
    const intervals = Array.from({ length: 240 }, (_, i): Interval => ({
      durationMs: 30_000,
      requests: Math.round(750 + 600 * Math.sin(i / 4)),
      inputTokens: 3000,
      outputTokens: 300,
      prefixHitRatio: 0.2,
      ttftMs: 90,
      itlMs: 8.5,
      workers: { prefill: 3, decode: 5 },
    }));
    const target = { prefill: 3, decode: 5 };
    const observations = { intervals, target, ready: target, sinceChangeMs: { prefill: 1e6, decode: 1e6 } };
    const forecasters = [
      constantForecaster(),
      holtWintersForecaster(),
      kalmanForecaster(),
      harmonicForecaster(),
    ];
    const timesOf = (work: () => unknown, n: number): number[] =>
      Array.from({ length: n }, () => {
        const before = performance.now();
        work();
        return performance.now() - before;
      })
        .slice(Math.floor(n / 4))
        .sort((a, b) => a - b);
    const { forecast } = forecastLoad(intervals, { horizonSteps: 2, forecasters });
    const plans = timesOf(
      () => plan(observations, forecast, profile, { ttftMs: 200, itlMs: 10 }, limits),
      200,
    );
    const forecasts = timesOf(() => forecastLoad(intervals, { horizonSteps: 2, forecasters }), 12);
    return {
      intervals: intervals.length,
      planP50: round(plans[plans.length >> 1]!),
      planP99: round(plans[Math.floor(plans.length * 0.99)]!),
      forecastP50: round(forecasts[forecasts.length >> 1]!),
    };
  }
}
