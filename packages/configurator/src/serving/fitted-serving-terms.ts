import type { ServingTerms } from "./serving-terms.ts";

// Written by tools/calibrate/fit-serving.ts from 1811 measured deployments; do not edit.
export const fittedServingTerms: ServingTerms = {
  scheduling: {
    vllm: {
      hopper: { prefillInterference: 0.968, dataStall: 0.3 },
      blackwell: { prefillInterference: 1.1, dataStall: 0.29 },
    },
    sglang: {
      hopper: { prefillInterference: 0.67, dataStall: 0.3 },
      blackwell: { prefillInterference: 1.17, dataStall: 0.3 },
    },
    trtllm: {
      hopper: { prefillInterference: 1, dataStall: 0.282 },
      blackwell: { prefillInterference: 1.08, dataStall: 0.265 },
    },
  },
  aggregated: {
    vllm: { fixedMs: 41.5, steps: 0.001, prefill: 1.05, queue: 0.23, burst: 0.0669 },
    sglang: { fixedMs: 184, steps: 0.001, prefill: 0.564, queue: 0.202, burst: 0.0753 },
    trtllm: { fixedMs: 82.7, steps: 0.001, prefill: 1.85, queue: 0.238, burst: 0.0743 },
  },
  disaggregated: {
    vllm: { fixedMs: 0.00976, steps: 19.4, prefill: 2.17, queue: 0.00543, burst: 0.0225 },
    sglang: { fixedMs: 0.00978, steps: 24.5, prefill: 1.16, queue: 0.00543, burst: 0.0504 },
    trtllm: { fixedMs: 0.00976, steps: 15.9, prefill: 0.962, queue: 0.00543, burst: 0.047 },
  },
};
