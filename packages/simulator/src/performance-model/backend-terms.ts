/** Engines whose scheduling and launch costs are known. */
export type BackendName = "vllm" | "sglang" | "trtllm";

/** What an engine adds to its kernels. */
export interface BackendTerms {
  /** Host time of one step that the GPU waits for, in microseconds. */
  readonly stepUs: number;
  /** The same per sequence in the step. */
  readonly perSequenceUs: number;
  /** Launches of a step with prompt tokens in it, which no graph covers, per layer in microseconds. */
  readonly prefillLayerUs: number;
  /** The engine's kernels against the calibrated ones: above 1 is slower. */
  readonly kernelScale: number;
}

export const backendTerms: Readonly<Record<BackendName, BackendTerms>> = {
  vllm: { stepUs: 900, perSequenceUs: 8, prefillLayerUs: 30, kernelScale: 1 },
  sglang: { stepUs: 700, perSequenceUs: 6, prefillLayerUs: 30, kernelScale: 1 },
  trtllm: { stepUs: 400, perSequenceUs: 5, prefillLayerUs: 20, kernelScale: 1 },
};
