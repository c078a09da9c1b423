import type { Counter, Histogram, Meter } from "@stator/core";
import type { TransferOperation } from "../transport/transport.ts";
import type { TransferStats } from "./transfer-agent.ts";

const secondsBuckets: readonly number[] = [1e-5, 1e-4, 1e-3, 3e-3, 1e-2, 3e-2, 0.1, 0.3, 1, 3, 10];

/** What went one way since the agent was made. */
export interface PathTotals {
  /** Names of the transports, joined by `+`. */
  readonly path: string;
  readonly operation: TransferOperation;
  readonly transfers: number;
  readonly bytes: number;
}

/** What an agent did since it was made. */
export interface AgentTotals {
  readonly paths: readonly PathTotals[];
  /** Transfers that failed, by error code. */
  readonly failures: ReadonlyMap<string, number>;
}

/** What an agent counts: its metrics, and the same as totals. */
export interface AgentCounts {
  readonly totals: AgentTotals;
  done(operation: TransferOperation, stats: TransferStats): void;
  failed(code: string): void;
  failedOver(from: string): void;
}

/** Counts of one way and direction. */
interface Series {
  readonly seconds: Histogram;
  readonly moved: Counter;
  readonly totals: { path: string; operation: TransferOperation; transfers: number; bytes: number };
}

export function createAgentCounts(meter: Meter): AgentCounts {
  const seconds = meter.histogram({
    name: "kv_transfer",
    unit: "seconds",
    help: "Time from post to completion of a KV transfer.",
    labels: ["path"],
    buckets: secondsBuckets,
  });
  const bytesMoved = meter.counter({
    name: "kv_transfer",
    unit: "bytes",
    help: "Bytes moved by KV transfers.",
    labels: ["path", "operation"],
  });
  const failures = meter.counter({
    name: "kv_transfer_failures",
    help: "KV transfers that failed, by error code.",
    labels: ["code"],
  });
  const failovers = meter.counter({
    name: "kv_transfer_failovers",
    help: "Batches of which what had not arrived went on over another transport.",
    labels: ["from"],
  });
  const byPath = new Map<string, Series>();
  const failed = new Map<string, number>();
  const seriesOf = (path: string, operation: TransferOperation): Series => {
    const key = operation === "read" ? path : `${path}>`;
    let series = byPath.get(key);
    if (series === undefined)
      byPath.set(
        key,
        (series = {
          seconds: seconds.labels({ path }),
          moved: bytesMoved.labels({ path, operation }),
          totals: { path, operation, transfers: 0, bytes: 0 },
        }),
      );
    return series;
  };
  return {
    totals: {
      get paths() {
        return [...byPath.values()].map(({ totals }) => ({ ...totals }));
      },
      failures: failed,
    },
    done(operation, { transports, totalMicros, bytes }) {
      const path = transports.length === 1 ? (transports[0] as string) : transports.join("+");
      const series = seriesOf(path, operation);
      series.seconds.observe(totalMicros / 1e6);
      series.moved.add(bytes);
      series.totals.transfers += 1;
      series.totals.bytes += bytes;
    },
    failed(code) {
      failures.labels({ code }).add();
      failed.set(code, (failed.get(code) ?? 0) + 1);
    },
    failedOver: (from) => failovers.labels({ from }).add(),
  };
}
