export type { BoundEngineCase, EngineCase, EngineFixture } from "./engine-suite.ts";
export { engineSuite } from "./engine-suite.ts";
