import type { ServingTerms } from "./serving-terms.ts";

// Written by tools/calibrate/fit-serving.ts from 1811 measured deployments; do not edit.
export const fittedServingTerms: ServingTerms = {
  scheduling: {
    vllm: {
      hopper: { prefillInterference: 1.06, dataStall: 0.29 },
      blackwell: { prefillInterference: 1.06, dataStall: 0.29 },
      blackwellUltra: { prefillInterference: 1.04, dataStall: 0.289 },
    },
    sglang: {
      hopper: { prefillInterference: 0.682, dataStall: 0.29 },
      blackwell: { prefillInterference: 0.748, dataStall: 0.29 },
      blackwellUltra: { prefillInterference: 0.763, dataStall: 0.29 },
    },
    trtllm: {
      hopper: { prefillInterference: 0.981, dataStall: 0.28 },
      blackwell: { prefillInterference: 0.996, dataStall: 0.28 },
      blackwellUltra: { prefillInterference: 0.996, dataStall: 0.28 },
    },
  },
  aggregated: {
    vllm: {
      hopper: { fixedMs: 39.8, steps: 0.736, prefill: 1.25, queue: 0.146, burst: 0.077 },
      blackwell: { fixedMs: 44.9, steps: 0.749, prefill: 1.27, queue: 0.146, burst: 0.084 },
      blackwellUltra: { fixedMs: 37.7, steps: 0.737, prefill: 1.24, queue: 0.146, burst: 0.0808 },
    },
    sglang: {
      hopper: { fixedMs: 111, steps: 0.93, prefill: 1.22, queue: 0.142, burst: 0.0815 },
      blackwell: { fixedMs: 105, steps: 0.927, prefill: 1.22, queue: 0.142, burst: 0.0827 },
      blackwellUltra: { fixedMs: 108, steps: 0.929, prefill: 1.23, queue: 0.142, burst: 0.0825 },
    },
    trtllm: {
      hopper: { fixedMs: 89.2, steps: 0.979, prefill: 1.6, queue: 0.142, burst: 0.0738 },
      blackwell: { fixedMs: 88.7, steps: 0.974, prefill: 1.58, queue: 0.142, burst: 0.0766 },
      blackwellUltra: { fixedMs: 88, steps: 0.973, prefill: 1.58, queue: 0.142, burst: 0.0753 },
    },
  },
  disaggregated: {
    vllm: {
      hopper: { fixedMs: 192, steps: 1.08, prefill: 1.31, queue: 0.0518, burst: 0.0547 },
      blackwell: { fixedMs: 199, steps: 1.08, prefill: 1.32, queue: 0.0518, burst: 0.0543 },
      blackwellUltra: { fixedMs: 193, steps: 1.08, prefill: 1.31, queue: 0.0518, burst: 0.0549 },
    },
    sglang: {
      hopper: { fixedMs: 193, steps: 1.1, prefill: 1.25, queue: 0.0529, burst: 0.0801 },
      blackwell: { fixedMs: 199, steps: 1.1, prefill: 1.26, queue: 0.053, burst: 0.0833 },
      blackwellUltra: { fixedMs: 194, steps: 1.1, prefill: 1.25, queue: 0.0527, burst: 0.0806 },
    },
    trtllm: {
      hopper: { fixedMs: 124, steps: 1.08, prefill: 1.27, queue: 0.0467, burst: 0.065 },
      blackwell: { fixedMs: 110, steps: 1.07, prefill: 1.25, queue: 0.0467, burst: 0.062 },
      blackwellUltra: { fixedMs: 121, steps: 1.08, prefill: 1.26, queue: 0.0468, burst: 0.0637 },
    },
  },
};
