export type {
  AgentChange,
  AgentPair,
  BoundCase,
  CaseContext,
  ConformanceCase,
  ProcessChange,
  TransportFixture,
  TransportSuiteOptions,
} from "./transport-suite.ts";
export { transportSuite } from "./transport-suite.ts";
export type { FaultPlan, NotifyFault, PostFault } from "./faulty-transport.ts";
export { faulty } from "./faulty-transport.ts";
export type { PatternTarget } from "./pattern.ts";
export type { RegionAccess } from "./region-access.ts";
export { fillPattern, patternBytes } from "./pattern.ts";
export type { PeerCommand, PeerProcess, SpawnPeerOptions } from "./peer/peer-process.ts";
export { spawnPeer } from "./peer/peer-process.ts";
