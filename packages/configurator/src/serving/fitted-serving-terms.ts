import type { ServingTerms } from "./serving-terms.ts";

// Written by tools/calibrate/fit-serving.ts from 1811 measured deployments; do not edit.
export const fittedServingTerms: ServingTerms = {
  scheduling: {
    vllm: {
      hopper: { prefillInterference: 1.07, dataStall: 0.291 },
      blackwell: { prefillInterference: 1.08, dataStall: 0.291 },
      blackwellUltra: { prefillInterference: 1.06, dataStall: 0.291 },
      blackwellEarly: { prefillInterference: 1.09, dataStall: 0.291 },
    },
    sglang: {
      hopper: { prefillInterference: 0.803, dataStall: 0.291 },
      blackwell: { prefillInterference: 0.876, dataStall: 0.291 },
      blackwellUltra: { prefillInterference: 0.897, dataStall: 0.291 },
      blackwellEarly: { prefillInterference: 0.961, dataStall: 0.291 },
    },
    trtllm: {
      hopper: { prefillInterference: 1.01, dataStall: 0.283 },
      blackwell: { prefillInterference: 1.03, dataStall: 0.282 },
      blackwellUltra: { prefillInterference: 1.03, dataStall: 0.282 },
      blackwellEarly: { prefillInterference: 1.06, dataStall: 0.282 },
    },
  },
  aggregated: {
    vllm: {
      hopper: { fixedMs: 40.7, steps: 0.665, prefill: 1.28, queue: 0.144, burst: 0.0788 },
      blackwell: { fixedMs: 42.1, steps: 0.67, prefill: 1.4, queue: 0.144, burst: 0.0854 },
      blackwellUltra: { fixedMs: 26, steps: 0.666, prefill: 1.26, queue: 0.144, burst: 0.0839 },
      blackwellEarly: { fixedMs: 42.1, steps: 0.67, prefill: 1.4, queue: 0.144, burst: 0.0854 },
    },
    sglang: {
      hopper: { fixedMs: 124, steps: 0.794, prefill: 1.18, queue: 0.144, burst: 0.0867 },
      blackwell: { fixedMs: 102, steps: 0.794, prefill: 1.22, queue: 0.144, burst: 0.0878 },
      blackwellUltra: { fixedMs: 118, steps: 0.794, prefill: 1.24, queue: 0.144, burst: 0.0875 },
      blackwellEarly: { fixedMs: 102, steps: 0.794, prefill: 1.22, queue: 0.144, burst: 0.0878 },
    },
    trtllm: {
      hopper: { fixedMs: 90.1, steps: 0.843, prefill: 1.72, queue: 0.141, burst: 0.0744 },
      blackwell: { fixedMs: 94.6, steps: 0.84, prefill: 1.61, queue: 0.141, burst: 0.0777 },
      blackwellUltra: { fixedMs: 83.7, steps: 0.839, prefill: 1.59, queue: 0.141, burst: 0.0762 },
      blackwellEarly: { fixedMs: 94.6, steps: 0.84, prefill: 1.61, queue: 0.141, burst: 0.0777 },
    },
  },
  disaggregated: {
    vllm: {
      hopper: { fixedMs: 180, steps: 0.974, prefill: 1.27, queue: 0.0601, burst: 0.0492 },
      blackwell: { fixedMs: 213, steps: 0.974, prefill: 1.31, queue: 0.0601, burst: 0.0488 },
      blackwellUltra: { fixedMs: 188, steps: 0.974, prefill: 1.28, queue: 0.0601, burst: 0.0494 },
      blackwellEarly: { fixedMs: 213, steps: 0.974, prefill: 1.31, queue: 0.0601, burst: 0.0488 },
    },
    sglang: {
      hopper: { fixedMs: 194, steps: 1, prefill: 1.23, queue: 0.0607, burst: 0.0788 },
      blackwell: { fixedMs: 208, steps: 1, prefill: 1.24, queue: 0.0608, burst: 0.0805 },
      blackwellUltra: { fixedMs: 210, steps: 1, prefill: 1.21, queue: 0.0604, burst: 0.0785 },
      blackwellEarly: { fixedMs: 208, steps: 1, prefill: 1.24, queue: 0.0608, burst: 0.0805 },
    },
    trtllm: {
      hopper: { fixedMs: 300, steps: 0.992, prefill: 1.31, queue: 0.0553, burst: 0.0579 },
      blackwell: { fixedMs: 113, steps: 0.989, prefill: 1.22, queue: 0.0554, burst: 0.0575 },
      blackwellUltra: { fixedMs: 207, steps: 0.991, prefill: 1.26, queue: 0.0554, burst: 0.0575 },
      blackwellEarly: { fixedMs: 113, steps: 0.989, prefill: 1.22, queue: 0.0554, burst: 0.0575 },
    },
  },
};
