import type { ServingTerms } from "./serving-terms.ts";

// Written by tools/calibrate/fit-serving.ts from 1811 measured deployments; do not edit.
export const fittedServingTerms: ServingTerms = {
  scheduling: {
    vllm: {
      hopper: { prefillInterference: 0.968, dataStall: 0.3 },
      blackwell: { prefillInterference: 1.05, dataStall: 0.3 },
    },
    sglang: {
      hopper: { prefillInterference: 0.67, dataStall: 0.3 },
      blackwell: { prefillInterference: 1.19, dataStall: 0.3 },
    },
    trtllm: {
      hopper: { prefillInterference: 1, dataStall: 0.282 },
      blackwell: { prefillInterference: 1.05, dataStall: 0.265 },
    },
  },
  aggregated: {
    vllm: { fixedMs: 45.3, steps: 0.001, prefill: 1, queue: 0.187, burst: 0.0676 },
    sglang: { fixedMs: 227, steps: 0.000999, prefill: 0.44, queue: 0.273, burst: 0.122 },
    trtllm: { fixedMs: 83.3, steps: 0.001, prefill: 1.83, queue: 0.251, burst: 0.0739 },
  },
  disaggregated: {
    vllm: { fixedMs: 0.0178, steps: 20.2, prefill: 2.07, queue: 0.0102, burst: 0.0214 },
    sglang: { fixedMs: 0.0178, steps: 25.2, prefill: 1.09, queue: 0.0101, burst: 0.0498 },
    trtllm: { fixedMs: 0.0178, steps: 16.4, prefill: 0.936, queue: 0.0101, burst: 0.0433 },
  },
};
