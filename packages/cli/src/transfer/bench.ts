import { TransferDirection } from "@stator/contracts";
import { startAgents, type TransferClient } from "./controlled-agents.ts";

export interface TransferCase {
  /** Bytes of one piece. */
  readonly bytes: number;
  /** Pieces of one transfer. */
  readonly pieces: number;
}

/** Who moves bytes at once: so many pairs of their own, or so many initiators with one target. */
export interface Topology {
  readonly kind: "pairs" | "manyToOne";
  readonly initiators: number;
}

/** One line of `stator transfer bench`. */
export interface TransferMeasure extends TransferCase {
  readonly transport: string;
  readonly operation: "read" | "write";
  readonly initiators: number;
  readonly targets: number;
  /** Of all initiators together. */
  readonly gigabytesPerSecond: number;
  /** Of one transfer: the median of the slowest initiator, and the worst 99th percentile. */
  readonly p50Micros: number;
  readonly p99Micros: number;
}

/** Two ends: who posts, and whose memory it is. */
export interface BenchPair {
  readonly initiator: TransferClient;
  readonly target: TransferClient;
}

export interface SweepOptions {
  /** Pairs that share a target name the same object. */
  readonly pairs: readonly BenchPair[];
  readonly cases: readonly TransferCase[];
  readonly operations: readonly ("read" | "write")[];
  /** Transfers of each initiator in each case. */
  readonly repeats: number;
  /** Only this transport; any when absent. */
  readonly transport?: string;
  readonly onMeasure: (measure: TransferMeasure) => void;
}

const leaseMs = 60_000;
const waitMs = 20_000;

/** Each block and batch size in turn, all initiators at once. */
export async function sweep({
  pairs,
  cases,
  operations,
  repeats,
  transport,
  onMeasure,
}: SweepOptions): Promise<void> {
  const targets = [...new Set(pairs.map(({ target }) => target))];
  for (const { bytes, pieces } of cases) {
    const share = bytes * pieces;
    const opened = new Map(
      await Promise.all(
        targets.map(async (target) => {
          const sharers = pairs.filter((pair) => pair.target === target).length;
          return [target, await target.openBench({ bytes: BigInt(share * sharers), leaseMs })] as const;
        }),
      ),
    );
    try {
      for (const operation of operations) {
        const used = new Map<TransferClient, number>();
        const started = await Promise.all(
          pairs.map(async ({ initiator, target }) => {
            const place = used.get(target) ?? 0;
            used.set(target, place + 1);
            const { benchId } = await initiator.startBench({
              metadata: opened.get(target)!.metadata,
              direction: operation === "read" ? TransferDirection.READ : TransferDirection.WRITE,
              blockBytes: BigInt(bytes),
              batch: pieces,
              offset: BigInt(place * share),
              repeats,
              transport: transport ?? "",
            });
            return { initiator, benchId };
          }),
        );
        const ended = await Promise.all(
          started.map(async ({ initiator, benchId }) => {
            for (;;) {
              const state = await initiator.getBench({ benchId, waitMs });
              if (state.error !== undefined) throw new Error(state.error);
              if (!state.isRunning) return state;
              for (const [target, { leaseId }] of opened) await target.renewLease({ leaseId });
            }
          }),
        );
        const moved = ended.reduce((sum, state) => sum + Number(state.bytes), 0);
        const longestMicros = Math.max(...ended.map(({ elapsedMicros }) => elapsedMicros));
        onMeasure({
          transport: [...new Set(ended.flatMap(({ transports }) => transports))].join("+"),
          operation,
          bytes,
          pieces,
          initiators: pairs.length,
          targets: targets.length,
          gigabytesPerSecond: Number((moved / longestMicros / 1000).toPrecision(3)),
          p50Micros: round(Math.max(...ended.map(({ p50Micros }) => p50Micros))),
          p99Micros: round(Math.max(...ended.map(({ p99Micros }) => p99Micros))),
        });
      }
    } finally {
      for (const [target, { leaseId }] of opened)
        await target.releaseLease({ leaseId }).catch(() => undefined);
    }
  }
}

export interface MeasureOptions {
  readonly transports: readonly string[];
  readonly cases: readonly TransferCase[];
  /** Default: one pair. */
  readonly topology?: Topology;
  /** Default both. */
  readonly operations?: readonly ("read" | "write")[];
  /** Transfers of each case. Default 100. */
  readonly repeats?: number;
  readonly onProgress?: (done: number, all: number) => void;
}

/** Moves memory between processes of this machine that are started for it, over each transport. */
export async function measureTransfers(options: MeasureOptions): Promise<TransferMeasure[]> {
  const { transports, cases, topology = { kind: "pairs", initiators: 1 }, repeats = 100 } = options;
  const operations = options.operations ?? ["read", "write"];
  const places = Array.from({ length: topology.initiators }, (_, i) => i);
  const targetOf = (place: number): string => (topology.kind === "pairs" ? `target-${place}` : "target-0");
  const names = [...places.map((i) => `initiator-${i}`), ...new Set(places.map(targetOf))];
  const all = transports.length * cases.length * operations.length;
  const measures: TransferMeasure[] = [];
  for (const transport of transports) {
    await using agents = await startAgents(names, [transport]);
    const clients = new Map(names.map((name) => [name, agents.client(name)]));
    await sweep({
      pairs: places.map((i) => ({
        initiator: clients.get(`initiator-${i}`)!,
        target: clients.get(targetOf(i))!,
      })),
      cases,
      operations,
      repeats,
      onMeasure(measure) {
        measures.push(measure);
        options.onProgress?.(measures.length, all);
      },
    });
  }
  return measures;
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}
