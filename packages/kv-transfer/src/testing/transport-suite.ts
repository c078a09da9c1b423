import type { Logger } from "@stator/core";
import { createAgent } from "../agent/create-agent.ts";
import type { Peer, RemoteRegion, TransferAgent } from "../agent/transfer-agent.ts";
import type { MemoryKind, Transport, TransportCapabilities } from "../transport/transport.ts";
import { deathCases } from "./cases/death-cases.ts";
import { endingCases, endingTwoProcessCases } from "./cases/ending-cases.ts";
import { epochCases, epochTwoProcessCases } from "./cases/epoch-cases.ts";
import { faultCases } from "./cases/fault-cases.ts";
import { limitCases } from "./cases/limit-cases.ts";
import { misuseCases } from "./cases/misuse-cases.ts";
import { movingCases, movingTwoProcessCases } from "./cases/moving-cases.ts";
import { notificationCases, notificationTwoProcessCases } from "./cases/notification-cases.ts";
import { restartCases, restartTwoProcessCases } from "./cases/restart-cases.ts";
import { faulty, type FaultPlan } from "./faulty-transport.ts";
import { spawnPeer, type PeerProcess, type SpawnPeerOptions } from "./peer/peer-process.ts";
import { accessOf, type RegionAccess } from "./region-access.ts";

/** A transport under test. */
export interface TransportFixture {
  /** Makes one instance per agent. */
  transport(): Transport;
  /** Kind of memory that targets allocate. Default `host`. */
  readonly memory?: MemoryKind;
  /** Memory that is allocated and not touched takes no room: tests may allocate 5 GB. */
  readonly isSparse?: boolean;
  /** Whose event loops data needs to move: nobody's where native threads move it. Default `none`. */
  readonly needsLoopOf?: "none" | "initiator" | "both";
  /** Every operation is a request to a server: cases repeat less. Default false. */
  readonly isRemoteStore?: boolean;
  /** Where a second process finds the factory. Absent: tests within one process only. */
  readonly module?: {
    /** A module specifier that it can import. */
    readonly specifier: string;
    readonly export: string;
    readonly options?: unknown;
    /** The options take a `port` to listen on. */
    readonly takesPort?: boolean;
  };
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

/** How an agent of this process differs from the plain one. */
export interface AgentChange {
  readonly name?: string;
  /** What goes wrong between it and the transport. */
  readonly plan?: FaultPlan;
  /** Ways beside the transport, after it. */
  readonly also?: readonly Transport[];
  readonly logger?: Logger;
}

/** How a second process differs from the plain one. */
export interface ProcessChange extends SpawnPeerOptions {
  /** Port to listen on, where the transport takes one. */
  readonly port?: number;
  /** Ways beside the transport, after it. */
  readonly also?: readonly { readonly module: string; readonly export: string; readonly options?: unknown }[];
}

export interface TransportSuiteOptions {
  /** What takes most of a minute per transport runs whole: a million notifications, 100,000 rounds on a block in use. Default: a twentieth of that. */
  readonly isEndurance?: boolean;
}

export interface CaseContext {
  readonly fixture: TransportFixture;
  /** How often to do what is done very often: `whole`, or a part of it. */
  repeats(whole: number): number;
  /** What targets allocate. */
  readonly memory: MemoryKind;
  /** What the transport promises, once an agent has opened it. */
  readonly capabilities: TransportCapabilities;
  pair(initiator?: AgentChange): Promise<AgentPair>;
  agent(change?: AgentChange): Promise<TransferAgent>;
  peerProcess(name: string, change?: ProcessChange): Promise<PeerProcess>;
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
export function transportSuite(
  fixture: TransportFixture,
  { isEndurance = false }: TransportSuiteOptions = {},
): readonly BoundCase[] {
  const { memory = "host" } = fixture;
  const cases: readonly ConformanceCase[] = [
    ...movingCases,
    ...misuseCases,
    ...epochCases,
    ...notificationCases,
    ...endingCases,
    ...restartCases,
    ...faultCases,
    ...(fixture.module === undefined
      ? []
      : [
          ...movingTwoProcessCases,
          ...epochTwoProcessCases,
          ...notificationTwoProcessCases,
          ...endingTwoProcessCases,
          ...deathCases,
          ...restartTwoProcessCases,
          ...limitCases,
        ]),
  ];
  const possible = cases.filter(({ needsEpochs }) => needsEpochs !== true || memory !== "object");
  return possible.map(({ name, run }) => ({
    name,
    async run() {
      const closers: (() => Promise<unknown>)[] = [];
      let capabilities: TransportCapabilities | undefined;
      const watched = (inner: Transport): Transport => ({
        name: inner.name,
        async open(host) {
          const open = await inner.open(host);
          capabilities = open.capabilities;
          return open;
        },
      });
      const agent = async ({
        name: agentName,
        plan,
        also = [],
        logger,
      }: AgentChange = {}): Promise<TransferAgent> => {
        const plain = watched(fixture.transport());
        const made = await createAgent({
          transports: [plan === undefined ? plain : faulty(plain, plan), ...also],
          // Machines that run suites are busy ones.
          connectDeadlineMs: 10_000,
          ...(agentName === undefined ? {} : { name: agentName }),
          ...(logger === undefined ? {} : { logger }),
        });
        closers.push(() => made.close());
        return made;
      };
      try {
        await run({
          fixture,
          memory,
          repeats: (whole) => (isEndurance ? whole : Math.ceil(whole / 20)),
          get capabilities() {
            if (capabilities === undefined) throw new Error("no agent has opened the transport yet");
            return capabilities;
          },
          agent,
          async pair(change) {
            const initiator = await agent(change);
            const target = await agent(change?.also === undefined ? {} : { also: change.also });
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
          async peerProcess(peerName, change = {}) {
            const { module } = fixture;
            if (module === undefined) throw new Error("this fixture names no module");
            const { port, also = [], ...spawn } = change;
            const isPlain = Object.keys(spawn).length === 0;
            const child = isPlain ? (idle.pop() ?? (await spawnPeer())) : await spawnPeer(spawn);
            closers.push(async () => {
              // Starting a process costs more than most cases: one that nothing happened to serves again.
              if (isPlain && child.isUntouched && idle.length < mostIdle) {
                await child.call({ do: "close" });
                idle.push(child);
              } else await child.close();
            });
            const options =
              port === undefined ? module.options : { ...(module.options as object | undefined), port };
            await child.call({
              do: "open",
              name: peerName,
              module: module.specifier,
              transports: [{ export: module.export, ...(options === undefined ? {} : { options }) }, ...also],
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
