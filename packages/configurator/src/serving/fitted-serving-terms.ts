import type { ServingTerms } from "./serving-terms.ts";

// Written by tools/calibrate/fit-serving.ts from 1811 measured deployments; do not edit.
export const fittedServingTerms: ServingTerms = {
  scheduling: {
    vllm: {
      hopper: { prefillInterference: 1.07, dataStall: 0.3 },
      blackwell: { prefillInterference: 1.07, dataStall: 0.3 },
    },
    sglang: {
      hopper: { prefillInterference: 0.67, dataStall: 0.3 },
      blackwell: { prefillInterference: 1.14, dataStall: 0.3 },
    },
    trtllm: {
      hopper: { prefillInterference: 1, dataStall: 0.282 },
      blackwell: { prefillInterference: 1.04, dataStall: 0.273 },
    },
  },
  aggregated: {
    vllm: { fixedMs: 27.5, steps: 0.001, prefill: 1.46, queue: 0.158, burst: 0.0803 },
    sglang: { fixedMs: 182, steps: 0.001, prefill: 0.567, queue: 0.158, burst: 0.0832 },
    trtllm: { fixedMs: 81.5, steps: 0.001, prefill: 1.95, queue: 0.158, burst: 0.0742 },
  },
  disaggregated: {
    vllm: { fixedMs: 0.00652, steps: 18.8, prefill: 2.54, queue: 0.001, burst: 0.026 },
    sglang: { fixedMs: 0.00652, steps: 26.1, prefill: 1.21, queue: 0.001, burst: 0.0503 },
    trtllm: { fixedMs: 0.00652, steps: 16.7, prefill: 0.963, queue: 0.001, burst: 0.0502 },
  },
};
