// `npm run bench -- simulate --json`: virtual over real time of the discrete-event cluster, on one thread: eight workers, aggregated
// and disaggregated, real selectors, step times of Llama-3.1-8B on H100 by the performance model.
import { parseArgs } from "node:util";
import { parseLayout } from "@stator/core";
import { modelledWorker, simulateLayout } from "@stator/simulator/cluster";
import { constantRate, conversationWorkload } from "@stator/simulator/workload";

interface Row {
  readonly layout: string;
  readonly workers: number;
  readonly blockTokens: number;
  readonly requestsPerSecond: number;
  readonly requests: number;
  readonly virtualSeconds: number;
  /** Processor time: on a shared machine the wall clock also counts others' work. */
  readonly processorSeconds: number;
  readonly timesRealTime: number;
  readonly meanBusyRatio: number;
  readonly hitRatio: number;
  readonly ttftP50Ms: number;
  readonly itlP50Ms: number;
}

export async function run(args: readonly string[]): Promise<readonly Row[]> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      seconds: { type: "string", default: "1800" },
      conversations: { type: "string", default: "0.5,1.5" },
      "block-tokens": { type: "string", default: "64,512" },
    },
  });
  const worker = modelledWorker({ model: "meta-llama/Llama-3.1-8B", system: "h100", backend: "vllm" });
  const rows: Row[] = [];
  const shapes = {
    aggregated: { workers: { role: "both", replicas: 8 } },
    disaggregated: { prefill: { role: "prefill", replicas: 4 }, decode: { role: "decode", replicas: 4 } },
  };
  const warm = conversationWorkload({ rate: constantRate(1), durationMs: 60_000 });
  for (const rate of values.conversations.split(",").map(Number)) {
    const workload = conversationWorkload({
      rate: constantRate(rate),
      durationMs: Number(values.seconds) * 1000,
    });
    for (const [name, pools] of Object.entries(shapes)) {
      const layout = parseLayout({
        models: {
          m: {
            pools: Object.fromEntries(
              Object.entries(pools).map(([pool, shape]) => [pool, { ...shape, engine: { kind: "vllm" } }]),
            ),
          },
        },
      });
      simulateLayout({ layout, workload: warm, worker });
      for (const blockTokens of values["block-tokens"].split(",").map(Number)) {
        const before = process.cpuUsage();
        const result = simulateLayout({ layout, workload, worker, blockTokens });
        const { user, system } = process.cpuUsage(before);
        const processorSeconds = (user + system) / 1e6;
        rows.push({
          layout: name,
          workers: 8,
          blockTokens,
          requestsPerSecond: Number(result.requestsPerSecond.toFixed(2)),
          requests: result.requests,
          virtualSeconds: Math.round(result.durationMs / 1000),
          processorSeconds: Number(processorSeconds.toFixed(2)),
          timesRealTime: Math.round(result.durationMs / 1000 / processorSeconds),
          meanBusyRatio: Number(
            (result.workers.reduce((sum, one) => sum + one.busyRatio, 0) / result.workers.length).toFixed(2),
          ),
          hitRatio: Number(result.hitRatio.toFixed(3)),
          ttftP50Ms: result.ttftMs.p50,
          itlP50Ms: result.itlMs.p50,
        });
      }
    }
  }
  return rows;
}
