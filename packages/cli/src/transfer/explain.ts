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

/** Regions of these are no memory that others carry: they are tried by agents of their own. */
const withOwnRegions: ReadonlySet<string> = new Set(["file"]);

/** Which transports move bytes between two processes of this machine: each is tried. */
export async function explainTransports(names: readonly string[]): Promise<TransportReport[]> {
  const together = names.filter((name) => !withOwnRegions.has(name));
  const groups = [together, ...names.filter((name) => withOwnRegions.has(name)).map((name) => [name])];
  const reports: TransportReport[] = [];
  for (const group of groups) if (group.length > 0) reports.push(...(await tryTransports(group)));
  return names.map((name) => reports.find(({ transport }) => transport === name)!);
}

async function tryTransports(names: readonly string[]): Promise<TransportReport[]> {
  await using agents = await startAgents(["initiator", "target"], names);
  const [from, to] = [agents.client("initiator"), agents.client("target")];
  const paths = new Map(
    (await explainPath(from, to, 65_536)).reports.map(({ transport, path }) => [transport, path]),
  );
  const reports: TransportReport[] = [];
  for (const transport of names) {
    const problem = agents.problems.get(transport);
    if (problem !== undefined) {
      reports.push({ transport, works: false, reason: problem });
      continue;
    }
    // A region for each: a bench forgets what it has used.
    const { metadata, leaseId } = await to.openBench({ bytes: 4_096n, leaseMs: 60_000 });
    const { benchId } = await from.startBench({
      metadata,
      direction: TransferDirection.READ,
      blockBytes: 4_096n,
      batch: 1,
      repeats: 1,
      transport,
    });
    const { error } = await from.getBench({ benchId, waitMs: 10_000 });
    await to.releaseLease({ leaseId });
    const path = paths.get(transport);
    reports.push(
      error === undefined
        ? { transport, works: true, ...(path === undefined ? {} : { path }) }
        : { transport, works: false, reason: error },
    );
  }
  return reports;
}
