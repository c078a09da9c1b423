export type { ComplianceCase } from "./compliance-case.ts";
export type { DiscoveryFixture } from "./discovery-compliance.ts";
export { discoveryCompliance } from "./discovery-compliance.ts";
