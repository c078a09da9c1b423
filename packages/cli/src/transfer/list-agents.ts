import { TransferDirection, TransferService } from "@stator/contracts";
import { defaultDeadlines, silentLogger, systemClock } from "@stator/core";
import { createRuntime, type Discovery, type Runtime } from "@stator/runtime";
import type { TransferClient } from "./controlled-agents.ts";

/** What `stator transfer agents` says of one process. */
export interface AgentReport {
  /** Worker id, or the name of a store. */
  readonly process: string;
  readonly transports: readonly string[];
  readonly regions: number;
  readonly regionBytes: number;
  readonly peers: readonly string[];
  readonly leases: number;
  readonly totals: readonly {
    readonly path: string;
    readonly operation: string;
    readonly transfers: number;
    readonly bytes: number;
  }[];
  readonly failures: Readonly<Record<string, number>>;
}

/** A runtime through which the agents of a namespace are asked. */
export interface NamespaceAgents extends AsyncDisposable {
  client(name: string): TransferClient;
  reports(): Promise<AgentReport[]>;
}

const lookMs = 700;

/** Opens the control of all transfer agents in a namespace. */
export async function namespaceAgents(namespace: string, discovery: Discovery): Promise<NamespaceAgents> {
  const runtime: Runtime = await createRuntime({ namespace, discovery });
  const client = (name: string): TransferClient => runtime.client(TransferService, { name });
  return {
    client,
    async reports() {
      const names = await servedNames(namespace, discovery);
      return Promise.all(names.map((name) => reportOf(name, client(name))));
    },
    [Symbol.asyncDispose]: () => runtime.close(),
  };
}

/** Names under which `TransferService` is served now. */
async function servedNames(namespace: string, discovery: Discovery): Promise<string[]> {
  const store = await discovery.open({
    namespace,
    clock: systemClock,
    deadlines: defaultDeadlines,
    logger: silentLogger,
  });
  const names = new Map<string, string>();
  const stop = store.watch((change) => {
    if (change.type === "removed") names.delete(change.id);
    else if (
      change.record.subject.case === "service" &&
      change.record.subject.value.typeName === TransferService.typeName
    )
      names.set(change.record.id, change.record.subject.value.name);
  });
  await new Promise((resolve) => setTimeout(resolve, lookMs));
  stop();
  await store.close();
  return [...new Set(names.values())].sort();
}

async function reportOf(process: string, client: TransferClient): Promise<AgentReport> {
  const agent = await client.getAgent({}, { timeoutMs: 5_000 });
  return {
    process,
    transports: agent.transports,
    regions: agent.regions.length,
    regionBytes: agent.regions.reduce((sum, { bytes }) => sum + Number(bytes), 0),
    peers: agent.peers.filter(({ isCurrent }) => isCurrent).map(({ name }) => name),
    leases: agent.leases.length,
    totals: agent.totals.map(({ path, direction, transfers, bytes }) => ({
      path,
      operation: direction === TransferDirection.WRITE ? "write" : "read",
      transfers: Number(transfers),
      bytes: Number(bytes),
    })),
    failures: Object.fromEntries(
      Object.entries(agent.failures).map(([code, count]) => [code, Number(count)]),
    ),
  };
}
