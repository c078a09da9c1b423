import { createAgent } from "../agent/create-agent.ts";
import type { Peer, RemoteRegion, TransferAgent } from "../agent/transfer-agent.ts";
import type { MemoryKind, Transport } from "../transport/transport.ts";
import { enduranceCases, enduranceTwoProcessCases } from "./cases/endurance-cases.ts";
import { failureCases } from "./cases/failure-cases.ts";
import { limitCases } from "./cases/limit-cases.ts";
import { notificationCases } from "./cases/notification-cases.ts";
import { spawnPeer, type PeerProcess, type SpawnPeerOptions } from "./peer/peer-process.ts";
import { accessOf, type RegionAccess } from "./region-access.ts";
import { transferCases } from "./cases/transfer-cases.ts";
import { twoProcessCases } from "./cases/two-process-cases.ts";

/** A transport under test. */
export interface TransportFixture {
  /** Makes one instance per agent. */
  transport(): Transport;
  /** Kind of memory that targets allocate. Default `host`. */
  readonly memory?: MemoryKind;
  /** Memory that is allocated and not touched takes no room: tests may allocate 5 GB. */
  readonly isSparse?: boolean;
  /** Where a second process finds the factory: a module specifier it can import and the export's name. Absent: tests within one process only. */
  readonly module?: { readonly specifier: string; readonly export: string; readonly options?: unknown };
}

/** Two agents of this process that know each other. */
export interface AgentPair {
  readonly initiator: TransferAgent;
  readonly target: TransferAgent;
  /** The target as the initiator sees it. */
  readonly peer: Peer;
  /** Memory at the target and its description at the initiator. */
  allocate(
    bytes: number,
    blockBytes?: number,
  ): Promise<{ readonly there: RegionAccess; readonly remote: RemoteRegion }>;
}

export interface CaseContext {
  readonly fixture: TransportFixture;
  /** What targets allocate. */
  readonly memory: MemoryKind;
  pair(): Promise<AgentPair>;
  agent(name?: string): Promise<TransferAgent>;
  peerProcess(name: string, options?: SpawnPeerOptions): Promise<PeerProcess>;
}

/** One behaviour; `run` throws where the transport does not have it. */
export interface ConformanceCase {
  readonly name: string;
  /** Left out for kinds of memory that have no epochs. */
  readonly needsEpochs?: boolean;
  run(context: CaseContext): Promise<void>;
}

export interface BoundCase {
  readonly name: string;
  run(): Promise<void>;
}

/** Peer processes of earlier cases; they end with this one. */
const idle: PeerProcess[] = [];
const mostIdle = 2;

/** The compliance suite of the `Transport` seam, for any test runner: `for (const c of transportSuite(fixture)) it(c.name, c.run)`. */
export function transportSuite(fixture: TransportFixture): readonly BoundCase[] {
  const { memory = "host" } = fixture;
  const cases: readonly ConformanceCase[] = [
    ...transferCases,
    ...notificationCases,
    ...failureCases,
    ...enduranceCases,
    ...(fixture.module === undefined ? [] : [...twoProcessCases, ...enduranceTwoProcessCases, ...limitCases]),
  ];
  const possible = cases.filter(({ needsEpochs }) => needsEpochs !== true || memory !== "object");
  return possible.map(({ name, run }) => ({
    name,
    async run() {
      const closers: (() => Promise<unknown>)[] = [];
      const agent = async (agentName?: string): Promise<TransferAgent> => {
        const made = await createAgent({
          transports: [fixture.transport()],
          // Machines that run suites are busy ones.
          connectDeadlineMs: 10_000,
          ...(agentName === undefined ? {} : { name: agentName }),
        });
        closers.push(() => made.close());
        return made;
      };
      try {
        await run({
          fixture,
          memory,
          agent,
          async pair() {
            const initiator = await agent();
            const target = await agent();
            initiator.importMetadata(target.exportMetadata());
            return {
              initiator,
              target,
              get peer() {
                return initiator.peer(target.name) as Peer;
              },
              async allocate(bytes, blockBytes) {
                const there = await target.allocate({
                  bytes,
                  memory,
                  ...(blockBytes === undefined ? {} : { blockBytes }),
                });
                const peer = initiator.importMetadata(target.exportMetadata({ regions: [there] }));
                return { there: accessOf(target, there), remote: peer.region(there.id) };
              },
            };
          },
          async peerProcess(peerName, options) {
            const { module } = fixture;
            if (module === undefined) throw new Error("this fixture names no module");
            const child =
              options === undefined ? (idle.pop() ?? (await spawnPeer())) : await spawnPeer(options);
            closers.push(async () => {
              // Starting a process costs more than most cases: one that nothing happened to serves again.
              if (options === undefined && child.isUntouched && idle.length < mostIdle) {
                await child.call({ do: "close" });
                idle.push(child);
              } else await child.close();
            });
            await child.call({
              do: "open",
              name: peerName,
              module: module.specifier,
              transports: [
                module.options === undefined
                  ? { export: module.export }
                  : { export: module.export, options: module.options },
              ],
            });
            return child;
          },
        });
      } finally {
        await Promise.all(closers.reverse().map((close) => close()));
      }
    },
  }));
}
