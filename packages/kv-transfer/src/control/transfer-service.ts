import { randomBytes } from "node:crypto";
import type { ServiceImpl } from "@connectrpc/connect";
import { TransferDirection, type TransferService } from "@stator/contracts";
import { systemClock, type Clock } from "@stator/core";
import type { TransferAgent } from "../agent/transfer-agent.ts";
import { createHandoffSink } from "../handoff/handoff-sink.ts";
import { createHandoffSource } from "../handoff/handoff-source.ts";
import type { TierStore } from "../tiers/tier-store.ts";
import { transferError } from "../transfer-error.ts";
import { startBenchRun, type BenchRun } from "./bench-run.ts";
import { blockService } from "./block-service.ts";
import { toldToCallers } from "./told-to-callers.ts";

export interface TransferServiceOptions {
  readonly agent: TransferAgent;
  /** Blocks to keep for other processes. Default: none are kept. */
  readonly store?: TierStore;
  readonly clock?: Clock;
}

/** An agent's control, for a Connect server or `runtime.serveService(TransferService, …)`. */
export interface TransferServiceHandle {
  readonly implementation: Partial<ServiceImpl<typeof TransferService>>;
  /** Ends benches. The agent and the store stay their owner's. */
  close(): Promise<void>;
}

/** Most bytes that one bench may hold at its target. */
const mostBenchBytes = 2 ** 33;
/** Benches that run at once, and ended ones that can be asked for. */
const mostBenches = 64;
const mostWaitMs = 30_000;

/** Serves `TransferService` of @stator/contracts over an agent. */
export function createTransferService(options: TransferServiceOptions): TransferServiceHandle {
  const { agent, store, clock = systemClock } = options;
  const benches = new Map<string, BenchRun>();
  const benchOf = (id: string): BenchRun => {
    const bench = benches.get(id);
    if (bench === undefined)
      throw transferError("TRANSFER_OPTION_INVALID", `There is no bench ${id} (any more).`);
    return bench;
  };
  const makeRoom = (): void => {
    for (const [id, bench] of benches) {
      if (benches.size < mostBenches) return;
      if (!bench.state.isRunning) benches.delete(id);
    }
    if (benches.size >= mostBenches)
      throw transferError("TRANSFER_LIMIT", `${mostBenches} benches run already; stop one.`);
  };
  const mustHold = (isHeld: boolean, id: string): void => {
    if (!isHeld)
      throw transferError("TRANSFER_LEASE_GONE", `Agent ${agent.name} holds no lease ${id.slice(0, 8)}….`);
  };

  return {
    implementation: toldToCallers({
      getAgent: () => ({
        name: agent.name,
        incarnation: agent.incarnation,
        transports: [...agent.transports],
        regions: agent.regions.map(({ id, bytes, memory, epochs }) => ({
          id,
          bytes: BigInt(bytes),
          memory,
          blockBytes: BigInt(epochs?.blockBytes ?? 0),
        })),
        peers: agent.peers.map(({ name, incarnation, isCurrent, regions }) => ({
          name,
          incarnation,
          isCurrent,
          regions: regions.length,
        })),
        leases: agent.leases.map(({ id, durationMs }) => ({ idPrefix: id.slice(0, 8), durationMs })),
        totals: agent.totals.paths.map(({ path, operation, transfers, bytes }) => ({
          path,
          direction: operation === "read" ? TransferDirection.READ : TransferDirection.WRITE,
          transfers: BigInt(transfers),
          bytes: BigInt(bytes),
        })),
        failures: Object.fromEntries(
          [...agent.totals.failures].map(([code, count]) => [code, BigInt(count)]),
        ),
        metadata: agent.exportMetadata({ regions: [] }),
      }),
      explainPath({ metadata, bytes }) {
        const peer = agent.importMetadata(metadata);
        const { chosen, path, estimatedMicros, candidates } = agent.explain(
          peer,
          undefined,
          undefined,
          Number(bytes),
        );
        return {
          peer: peer.name,
          chosen,
          path,
          estimatedMicros,
          candidates: candidates.map(({ transport, reach }) =>
            reach.isReachable ? { transport, path: reach.path } : { transport, reason: reach.reason },
          ),
        };
      },
      async openBench({ bytes, leaseMs }) {
        if (bytes < 1n || bytes > BigInt(mostBenchBytes))
          throw transferError(
            "TRANSFER_OPTION_INVALID",
            `A bench needs 1 to ${mostBenchBytes} bytes, not ${bytes}.`,
          );
        const region = await agent.allocate({ bytes: Number(bytes) });
        const lease = agent.lease(Math.max(1, leaseMs), () => void region.deregister());
        return { metadata: agent.exportMetadata({ regions: [region] }), leaseId: lease.id };
      },
      startBench({ metadata, direction, blockBytes, batch, offset, repeats, transport }) {
        makeRoom();
        const benchId = randomBytes(8).toString("hex");
        benches.set(
          benchId,
          startBenchRun(agent, clock, {
            metadata,
            operation: direction === TransferDirection.WRITE ? "write" : "read",
            blockBytes: Number(blockBytes),
            batch,
            offset: Number(offset),
            repeats,
            transport: transport === "" ? undefined : transport,
          }),
        );
        return { benchId };
      },
      async getBench({ benchId, waitMs }) {
        const bench = benchOf(benchId);
        if (waitMs > 0) await endedWithin(bench, clock, Math.min(waitMs, mostWaitMs));
        const { bytes, ...state } = bench.state;
        return { ...state, bytes: BigInt(bytes), transports: [...state.transports] };
      },
      async stopBench({ benchId }) {
        const bench = benchOf(benchId);
        bench.stop();
        await bench.ended;
        return {};
      },
      renewLease({ leaseId }) {
        mustHold(agent.renewLease(leaseId), leaseId);
        return {};
      },
      releaseLease({ leaseId }) {
        mustHold(agent.endLease(leaseId), leaseId);
        return {};
      },
      ...(store === undefined
        ? {}
        : blockService({
            store,
            source: createHandoffSource({ agent }),
            sink: createHandoffSink({ agent }),
          })),
    }),
    async close() {
      for (const bench of benches.values()) bench.stop();
      await Promise.all([...benches.values()].map(({ ended }) => ended));
      benches.clear();
    },
  };
}

async function endedWithin(bench: BenchRun, clock: Clock, waitMs: number): Promise<void> {
  await new Promise<void>((resolve) => {
    const timer = clock.schedule(waitMs, resolve);
    void bench.ended.then(() => {
      timer.cancel();
      resolve();
    });
  });
}
