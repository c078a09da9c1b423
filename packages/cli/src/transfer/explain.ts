import type { ExplainPathResponse } from "@stator/contracts";
import { TransferDirection } from "@stator/contracts";
import { startAgents, type TransferClient } from "./controlled-agents.ts";

/** What `stator transfer explain` says of one transport. */
export interface TransportReport {
  readonly transport: string;
  readonly works: boolean;
  /** Why not. */
  readonly reason?: string;
  /** What it is there. */
  readonly path?: string;
  readonly isChosen?: boolean;
}

/** How the agent of one process reaches that of another, and why not otherwise. */
export async function explainPath(
  from: TransferClient,
  to: TransferClient,
  bytes: number,
): Promise<Omit<ExplainPathResponse, "$typeName" | "$unknown"> & { readonly reports: TransportReport[] }> {
  const { metadata } = await to.getAgent({});
  const {
    $typeName: _type,
    $unknown: _unknown,
    ...explanation
  } = await from.explainPath({ metadata, bytes: BigInt(bytes) });
  const reports = explanation.candidates.map(({ transport, reason, path }): TransportReport => ({
    transport,
    works: reason === undefined,
    isChosen: transport === explanation.chosen,
    ...(reason === undefined ? {} : { reason }),
    ...(path === undefined ? {} : { path }),
  }));
  return { ...explanation, reports };
}

/** Which transports move bytes between two processes of this machine: each is tried. */
export async function explainTransports(names: readonly string[]): Promise<TransportReport[]> {
  await using agents = await startAgents(["initiator", "target"], names);
  const [from, to] = [agents.client("initiator"), agents.client("target")];
  const { reports } = await explainPath(from, to, 65_536);
  const { metadata } = await to.openBench({ bytes: 4_096n, leaseMs: 60_000 });
  return await Promise.all(
    names.map(async (transport): Promise<TransportReport> => {
      const problem = agents.problems.get(transport);
      if (problem !== undefined) return { transport, works: false, reason: problem };
      const { benchId } = await from.startBench({
        metadata,
        direction: TransferDirection.READ,
        blockBytes: 4_096n,
        batch: 1,
        repeats: 1,
        transport,
      });
      const { error } = await from.getBench({ benchId, waitMs: 10_000 });
      if (error !== undefined) return { transport, works: false, reason: error };
      const path = reports.find((report) => report.transport === transport)?.path;
      return { transport, works: true, ...(path === undefined ? {} : { path }) };
    }),
  );
}
