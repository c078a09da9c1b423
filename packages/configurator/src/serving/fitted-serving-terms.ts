import type { ServingTerms } from "./serving-terms.ts";

// Written by tools/calibrate/fit-serving.ts from 1811 measured deployments; do not edit.
export const fittedServingTerms: ServingTerms = {
  scheduling: {
    vllm: {
      hopper: { prefillInterference: 1.05, dataStall: 0.292 },
      blackwell: { prefillInterference: 1.05, dataStall: 0.292 },
      blackwellUltra: { prefillInterference: 1.02, dataStall: 0.292 },
      blackwellEarly: { prefillInterference: 1.05, dataStall: 0.292 },
    },
    sglang: {
      hopper: { prefillInterference: 0.701, dataStall: 0.29 },
      blackwell: { prefillInterference: 0.784, dataStall: 0.29 },
      blackwellUltra: { prefillInterference: 0.801, dataStall: 0.29 },
      blackwellEarly: { prefillInterference: 0.86, dataStall: 0.29 },
    },
    trtllm: {
      hopper: { prefillInterference: 1.02, dataStall: 0.279 },
      blackwell: { prefillInterference: 1.01, dataStall: 0.279 },
      blackwellUltra: { prefillInterference: 1.01, dataStall: 0.279 },
      blackwellEarly: { prefillInterference: 1.02, dataStall: 0.279 },
    },
  },
  aggregated: {
    vllm: {
      hopper: { fixedMs: 43.5, steps: 2.07, prefill: 0.953, queue: 0.161, burst: 0.076 },
      blackwell: { fixedMs: 55.6, steps: 2.18, prefill: 1.03, queue: 0.162, burst: 0.0855 },
      blackwellUltra: { fixedMs: 28.7, steps: 2.11, prefill: 0.951, queue: 0.162, burst: 0.081 },
      blackwellEarly: { fixedMs: 55.6, steps: 2.18, prefill: 1.03, queue: 0.162, burst: 0.0855 },
    },
    sglang: {
      hopper: { fixedMs: 125, steps: 2.37, prefill: 0.932, queue: 0.163, burst: 0.0814 },
      blackwell: { fixedMs: 104, steps: 2.38, prefill: 0.957, queue: 0.164, burst: 0.0831 },
      blackwellUltra: { fixedMs: 127, steps: 2.38, prefill: 0.967, queue: 0.164, burst: 0.0826 },
      blackwellEarly: { fixedMs: 104, steps: 2.38, prefill: 0.957, queue: 0.164, burst: 0.0831 },
    },
    trtllm: {
      hopper: { fixedMs: 93.9, steps: 2.62, prefill: 1.03, queue: 0.163, burst: 0.0808 },
      blackwell: { fixedMs: 98.6, steps: 2.62, prefill: 1.02, queue: 0.163, burst: 0.0826 },
      blackwellUltra: { fixedMs: 88.2, steps: 2.61, prefill: 1.02, queue: 0.163, burst: 0.0816 },
      blackwellEarly: { fixedMs: 98.6, steps: 2.62, prefill: 1.02, queue: 0.163, burst: 0.0826 },
    },
  },
  disaggregated: {
    vllm: {
      hopper: { fixedMs: 205, steps: 1.22, prefill: 1.07, queue: 0.389, burst: 0.0967 },
      blackwell: { fixedMs: 233, steps: 1.22, prefill: 1.08, queue: 0.389, burst: 0.0973 },
      blackwellUltra: { fixedMs: 211, steps: 1.22, prefill: 1.07, queue: 0.389, burst: 0.0971 },
      blackwellEarly: { fixedMs: 233, steps: 1.22, prefill: 1.08, queue: 0.389, burst: 0.0973 },
    },
    sglang: {
      hopper: { fixedMs: 201, steps: 1.24, prefill: 1.09, queue: 0.417, burst: 0.105 },
      blackwell: { fixedMs: 214, steps: 1.25, prefill: 1.11, queue: 0.425, burst: 0.109 },
      blackwellUltra: { fixedMs: 235, steps: 1.25, prefill: 1.11, queue: 0.421, burst: 0.106 },
      blackwellEarly: { fixedMs: 214, steps: 1.25, prefill: 1.11, queue: 0.425, burst: 0.109 },
    },
    trtllm: {
      hopper: { fixedMs: 392, steps: 1.25, prefill: 0.971, queue: 0.37, burst: 0.104 },
      blackwell: { fixedMs: 131, steps: 1.25, prefill: 0.896, queue: 0.37, burst: 0.104 },
      blackwellUltra: { fixedMs: 252, steps: 1.25, prefill: 0.948, queue: 0.371, burst: 0.103 },
      blackwellEarly: { fixedMs: 131, steps: 1.25, prefill: 0.896, queue: 0.37, burst: 0.104 },
    },
  },
};
