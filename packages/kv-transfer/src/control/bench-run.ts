import type { Clock } from "@stator/core";
import { describePacked } from "../agent/descriptors.ts";
import type { TransferAgent } from "../agent/transfer-agent.ts";
import type { TransferOperation } from "../transport/transport.ts";
import { transferError } from "../transfer-error.ts";

export interface BenchPlan {
  /** Of the agent whose memory is read or written, with the one region to use. */
  readonly metadata: Uint8Array;
  readonly operation: TransferOperation;
  /** Bytes of a piece, and pieces of a transfer. */
  readonly blockBytes: number;
  readonly batch: number;
  /** Where its pieces begin in the other's memory. */
  readonly offset: number;
  readonly repeats: number;
  /** Only this transport; undefined: any. */
  readonly transport: string | undefined;
}

export interface BenchState {
  readonly isRunning: boolean;
  readonly transfers: number;
  readonly bytes: number;
  readonly elapsedMicros: number;
  readonly p50Micros: number;
  readonly p99Micros: number;
  readonly transports: readonly string[];
  readonly error: string | undefined;
}

/** Transfers that only measure. */
export interface BenchRun {
  readonly state: BenchState;
  readonly ended: Promise<void>;
  stop(): void;
}

const warmups = 3;

/** Most bytes that one run may allocate here. */
const mostBytes = 2 ** 32;

/** Starts it; failures are told by its state. */
export function startBenchRun(agent: TransferAgent, clock: Clock, plan: BenchPlan): BenchRun {
  const stopping = new AbortController();
  const micros: number[] = [];
  const transports = new Set<string>();
  let isRunning = true;
  let error: string | undefined;
  let startMs: number | undefined;
  let endMs = 0;

  const run = async (): Promise<void> => {
    const { blockBytes, batch, repeats, offset } = plan;
    const bytes = blockBytes * batch;
    if (!(bytes > 0) || bytes > mostBytes || repeats < 1)
      throw transferError(
        "TRANSFER_OPTION_INVALID",
        `A bench of ${batch} pieces of ${blockBytes} bytes, ${repeats} times, is not possible.`,
      );
    const peer = agent.importMetadata(plan.metadata);
    const target = peer.regions.at(-1);
    if (target === undefined)
      throw transferError(
        "TRANSFER_OPTION_INVALID",
        "The other agent's metadata names no region: call OpenBench there.",
      );
    const region = await agent.allocate({ bytes });
    try {
      const offsets = Float64Array.from({ length: batch }, (_, i) => i * blockBytes);
      const transfer = agent.createTransfer({
        operation: plan.operation,
        peer,
        local: describePacked(region, offsets, blockBytes),
        // In the other order: pieces that touch on both sides would be moved as one.
        remote: describePacked(target, offsets.map((at) => at + offset).reverse(), blockBytes),
        signal: stopping.signal,
        ...(plan.transport === undefined ? {} : { require: { transports: [plan.transport] } }),
      });
      try {
        for (let i = -warmups; i < repeats && !stopping.signal.aborted; i += 1) {
          const postMs = clock.now();
          if (i === 0) startMs = postMs;
          transfer.post();
          const stats = await transfer.completion;
          endMs = clock.now();
          if (i < 0) continue;
          micros.push((endMs - postMs) * 1000);
          for (const name of stats.transports) transports.add(name);
        }
      } finally {
        await transfer.release();
      }
    } finally {
      await region.deregister();
      peer.forget([target.id]);
    }
  };
  const ended = run()
    .catch((reason: unknown) => {
      if (!stopping.signal.aborted) error = reason instanceof Error ? reason.message : String(reason);
    })
    .finally(() => {
      isRunning = false;
    });

  return {
    ended,
    stop: () => stopping.abort(),
    get state() {
      const sorted = micros.toSorted((a, b) => a - b);
      const at = (share: number): number =>
        sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
      return {
        isRunning,
        transfers: micros.length,
        bytes: micros.length * plan.blockBytes * plan.batch,
        elapsedMicros: startMs === undefined ? 0 : (endMs - startMs) * 1000,
        p50Micros: at(0.5),
        p99Micros: at(0.99),
        transports: [...transports],
        error,
      };
    },
  };
}
