import { generationOf } from "../systems/coefficients-for.ts";
import { fittedBackendTerms } from "./fitted-backend-terms.ts";
import type { SystemSpec } from "../systems/system-spec.ts";

/** Engines whose scheduling and launch costs are known. */
export type BackendName = "vllm" | "sglang" | "trtllm";

/** What an engine adds to its kernels, on one generation of GPUs. */
export interface BackendTerms {
  /** Host time of one step that the GPU waits for, in microseconds. */
  readonly stepUs: number;
  /** The same per sequence in the step. */
  readonly perSequenceUs: number;
  /** Host time to launch a layer's kernels one by one, in microseconds: the least a step with prompts takes per layer. */
  readonly launchLayerUs: number;
  /** Per layer in microseconds, in a decode-only step. */
  readonly decodeLayerUs: number;
  /** The engine's kernels against the calibrated ones: above 1 is slower. */
  readonly workScale: number;
  /** Share of the kernels' launch floors that remains. */
  readonly floorScale: number;
}

/** Every engine whose terms are fitted. */
export const backendNames: readonly BackendName[] = ["vllm", "sglang", "trtllm"];

/** An engine's terms on a system, of its newest release or of the one given. */
export function backendTerms(backend: BackendName, system: SystemSpec, version?: string): BackendTerms {
  return fittedBackendTerms[backend][generationOf(system, { backend, version })];
}
