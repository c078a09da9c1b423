import { createAgent } from "../agent/create-agent.ts";
import type { Region } from "../agent/region.ts";
import type { Peer, RemoteRegion, TransferAgent } from "../agent/transfer-agent.ts";
import type { Transport } from "../transport/transport.ts";
import { enduranceCases, enduranceTwoProcessCases } from "./endurance-cases.ts";
import { failureCases } from "./failure-cases.ts";
import { notificationCases } from "./notification-cases.ts";
import { spawnPeer, type PeerProcess } from "./peer-process.ts";
import { transferCases } from "./transfer-cases.ts";
import { twoProcessCases } from "./two-process-cases.ts";

/** A transport under test. */
export interface TransportFixture {
  /** Makes one instance per agent. */
  transport(): Transport;
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
  ): Promise<{ readonly there: Region; readonly remote: RemoteRegion }>;
}

export interface CaseContext {
  readonly fixture: TransportFixture;
  pair(): Promise<AgentPair>;
  agent(name?: string): Promise<TransferAgent>;
  peerProcess(name: string): Promise<PeerProcess>;
}

/** One behaviour; `run` throws where the transport does not have it. */
export interface ConformanceCase {
  readonly name: string;
  run(context: CaseContext): Promise<void>;
}

export interface BoundCase {
  readonly name: string;
  run(): Promise<void>;
}

/** The compliance suite of the `Transport` seam, for any test runner: `for (const c of transportSuite(fixture)) it(c.name, c.run)`. */
export function transportSuite(fixture: TransportFixture): readonly BoundCase[] {
  const cases: readonly ConformanceCase[] = [
    ...transferCases,
    ...notificationCases,
    ...failureCases,
    ...enduranceCases,
    ...(fixture.module === undefined ? [] : [...twoProcessCases, ...enduranceTwoProcessCases]),
  ];
  return cases.map(({ name, run }) => ({
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
                  ...(blockBytes === undefined ? {} : { blockBytes }),
                });
                const peer = initiator.importMetadata(target.exportMetadata({ regions: [there] }));
                return { there, remote: peer.region(there.id) };
              },
            };
          },
          async peerProcess(peerName) {
            const child = await spawnPeer();
            closers.push(() => child.close());
            const { module } = fixture;
            if (module === undefined) throw new Error("this fixture names no module");
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
