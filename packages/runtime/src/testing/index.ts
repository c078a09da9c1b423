export type { ComplianceCase } from "./compliance-case.ts";
export type { DiscoveryFixture } from "./discovery-compliance.ts";
export { discoveryCompliance } from "./discovery-compliance.ts";
export type { WorkQueueFixture } from "./work-queue-compliance.ts";
export { workQueueCompliance } from "./work-queue-compliance.ts";
export type { ServerProcess } from "./server-process.ts";
export { hasServer, startServer } from "./server-process.ts";
