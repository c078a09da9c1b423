export type { BoundEngineCase, EngineCase, EngineFixture } from "./engine-suite.ts";
export { engineSuite } from "./engine-suite.ts";
export type { EngineFake } from "./fakes/http-fake.ts";
export type { VllmFakeOptions } from "./fakes/vllm-fake.ts";
export { startVllmFake } from "./fakes/vllm-fake.ts";
