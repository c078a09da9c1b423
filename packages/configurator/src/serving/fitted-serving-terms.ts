import type { ServingTerms } from "./serving-terms.ts";

// Written by tools/calibrate/fit-serving.ts from 1811 measured deployments; do not edit.
export const fittedServingTerms: ServingTerms = {
  scheduling: {
    vllm: {
      hopper: { prefillInterference: 1.06, dataStall: 0.29 },
      blackwell: { prefillInterference: 1.06, dataStall: 0.29 },
      blackwellUltra: { prefillInterference: 1.04, dataStall: 0.29 },
    },
    sglang: {
      hopper: { prefillInterference: 0.682, dataStall: 0.29 },
      blackwell: { prefillInterference: 0.748, dataStall: 0.29 },
      blackwellUltra: { prefillInterference: 0.763, dataStall: 0.29 },
    },
    trtllm: {
      hopper: { prefillInterference: 0.982, dataStall: 0.28 },
      blackwell: { prefillInterference: 0.997, dataStall: 0.28 },
      blackwellUltra: { prefillInterference: 0.997, dataStall: 0.28 },
    },
  },
  aggregated: {
    vllm: {
      hopper: { fixedMs: 39.8, steps: 0.748, prefill: 1.25, queue: 0.147, burst: 0.0771 },
      blackwell: { fixedMs: 45, steps: 0.761, prefill: 1.27, queue: 0.147, burst: 0.084 },
      blackwellUltra: { fixedMs: 37.7, steps: 0.749, prefill: 1.24, queue: 0.147, burst: 0.0808 },
    },
    sglang: {
      hopper: { fixedMs: 111, steps: 0.948, prefill: 1.22, queue: 0.142, burst: 0.0815 },
      blackwell: { fixedMs: 105, steps: 0.945, prefill: 1.22, queue: 0.142, burst: 0.0827 },
      blackwellUltra: { fixedMs: 108, steps: 0.947, prefill: 1.22, queue: 0.142, burst: 0.0825 },
    },
    trtllm: {
      hopper: { fixedMs: 89.2, steps: 0.999, prefill: 1.59, queue: 0.142, burst: 0.074 },
      blackwell: { fixedMs: 88.6, steps: 0.994, prefill: 1.58, queue: 0.142, burst: 0.0768 },
      blackwellUltra: { fixedMs: 88, steps: 0.993, prefill: 1.58, queue: 0.142, burst: 0.0755 },
    },
  },
  disaggregated: {
    vllm: {
      hopper: { fixedMs: 192, steps: 1.08, prefill: 1.31, queue: 0.0516, burst: 0.0547 },
      blackwell: { fixedMs: 199, steps: 1.08, prefill: 1.32, queue: 0.0516, burst: 0.0544 },
      blackwellUltra: { fixedMs: 193, steps: 1.08, prefill: 1.31, queue: 0.0516, burst: 0.055 },
    },
    sglang: {
      hopper: { fixedMs: 193, steps: 1.1, prefill: 1.25, queue: 0.0526, burst: 0.0803 },
      blackwell: { fixedMs: 199, steps: 1.1, prefill: 1.26, queue: 0.0527, burst: 0.0835 },
      blackwellUltra: { fixedMs: 194, steps: 1.1, prefill: 1.25, queue: 0.0524, burst: 0.0808 },
    },
    trtllm: {
      hopper: { fixedMs: 124, steps: 1.08, prefill: 1.27, queue: 0.0465, burst: 0.065 },
      blackwell: { fixedMs: 111, steps: 1.07, prefill: 1.25, queue: 0.0465, burst: 0.062 },
      blackwellUltra: { fixedMs: 121, steps: 1.08, prefill: 1.26, queue: 0.0465, burst: 0.0637 },
    },
  },
};
