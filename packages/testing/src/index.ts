export type {
  FaultPoint,
  TestCluster,
  TestClusterOptions,
  TestWorker,
  TestWorkers,
} from "./cluster/test-cluster.ts";
export { createTestCluster } from "./cluster/test-cluster.ts";
export type { WorkerGate } from "./cluster/worker-gate.ts";
export { createWorkerGate } from "./cluster/worker-gate.ts";
export type { Collected, EventLog } from "./collect/collect.ts";
export { collect, collectText, createEventLog, textOf } from "./collect/collect.ts";
export type { MeetingPlace } from "./connectors/styled-engine.ts";
export { createMeetingPlace, styledEngine } from "./connectors/styled-engine.ts";
export type { FaultProxy, FaultProxyOptions, ProxyDirection, ProxyFaults } from "./faults/fault-proxy.ts";
export { createFaultProxy } from "./faults/fault-proxy.ts";
export type { History, HistoryEntry } from "./history/history.ts";
export { createHistory } from "./history/history.ts";
export type { Violation, WatchEntry } from "./history/check-history.ts";
export { checkHistory, checkWatch } from "./history/check-history.ts";
export type { VirtualClock } from "@stator/core";
export { createVirtualClock } from "@stator/core";
export type { ComplianceCase, DiscoveryFixture, WorkQueueFixture } from "@stator/runtime/testing";
export { discoveryCompliance, workQueueCompliance } from "@stator/runtime/testing";
export type { BoundEngineCase, EngineCase, EngineFixture } from "@stator/engines/testing";
export { engineSuite } from "@stator/engines/testing";
export type { DisaggregationCase, DisaggregationFixture } from "@stator/router/testing";
export { disaggregationSuite } from "@stator/router/testing";
export type { ProcessRig, ProcessRigOptions, RigWorker, TimedNote } from "./rig/process-rig.ts";
export { createProcessRig, until } from "./rig/process-rig.ts";
export type { RigLoad, RigLoadOptions, RigRequest } from "./rig/rig-load.ts";
export { startRigLoad } from "./rig/rig-load.ts";
export type { RigNote } from "./rig/rig-note.ts";
export type { RigCommands } from "./rig/rig-worker.ts";
export { answerRig, notedEngine, noteToRig } from "./rig/rig-worker.ts";
