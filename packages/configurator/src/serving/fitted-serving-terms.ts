import type { ServingTerms } from "./serving-terms.ts";

// Written by tools/calibrate/fit-serving.ts from 1811 measured deployments; do not edit.
export const fittedServingTerms: ServingTerms = {
  scheduling: {
    vllm: {
      hopper: { prefillInterference: 1.04, dataStall: 0.292 },
      blackwell: { prefillInterference: 1.04, dataStall: 0.292 },
      blackwellUltra: { prefillInterference: 1, dataStall: 0.292 },
      blackwellEarly: { prefillInterference: 1.04, dataStall: 0.292 },
    },
    sglang: {
      hopper: { prefillInterference: 0.691, dataStall: 0.29 },
      blackwell: { prefillInterference: 0.773, dataStall: 0.29 },
      blackwellUltra: { prefillInterference: 0.79, dataStall: 0.29 },
      blackwellEarly: { prefillInterference: 0.847, dataStall: 0.29 },
    },
    trtllm: {
      hopper: { prefillInterference: 1, dataStall: 0.279 },
      blackwell: { prefillInterference: 0.99, dataStall: 0.279 },
      blackwellUltra: { prefillInterference: 0.99, dataStall: 0.279 },
      blackwellEarly: { prefillInterference: 0.987, dataStall: 0.279 },
    },
  },
  aggregated: {
    vllm: {
      hopper: { fixedMs: 51.3, steps: 0.838, prefill: 0.977, queue: 0.2, burst: 0.0757 },
      blackwell: { fixedMs: 55.6, steps: 0.851, prefill: 1.09, queue: 0.2, burst: 0.0847 },
      blackwellUltra: { fixedMs: 29.9, steps: 0.842, prefill: 0.997, queue: 0.2, burst: 0.0801 },
      blackwellEarly: { fixedMs: 55.6, steps: 0.851, prefill: 1.09, queue: 0.2, burst: 0.0847 },
    },
    sglang: {
      hopper: { fixedMs: 130, steps: 0.909, prefill: 0.953, queue: 0.199, burst: 0.0801 },
      blackwell: { fixedMs: 109, steps: 0.911, prefill: 0.98, queue: 0.199, burst: 0.0817 },
      blackwellUltra: { fixedMs: 134, steps: 0.912, prefill: 0.991, queue: 0.199, burst: 0.0814 },
      blackwellEarly: { fixedMs: 109, steps: 0.911, prefill: 0.98, queue: 0.199, burst: 0.0817 },
    },
    trtllm: {
      hopper: { fixedMs: 99.1, steps: 0.957, prefill: 1.07, queue: 0.199, burst: 0.0799 },
      blackwell: { fixedMs: 103, steps: 0.956, prefill: 1.05, queue: 0.199, burst: 0.0812 },
      blackwellUltra: { fixedMs: 92.7, steps: 0.955, prefill: 1.05, queue: 0.199, burst: 0.0805 },
      blackwellEarly: { fixedMs: 103, steps: 0.956, prefill: 1.05, queue: 0.199, burst: 0.0812 },
    },
  },
  disaggregated: {
    vllm: {
      hopper: { fixedMs: 189, steps: 0.935, prefill: 1.25, queue: 0.0575, burst: 0.0397 },
      blackwell: { fixedMs: 224, steps: 0.935, prefill: 1.29, queue: 0.0575, burst: 0.0393 },
      blackwellUltra: { fixedMs: 201, steps: 0.936, prefill: 1.26, queue: 0.0575, burst: 0.0399 },
      blackwellEarly: { fixedMs: 224, steps: 0.935, prefill: 1.29, queue: 0.0575, burst: 0.0393 },
    },
    sglang: {
      hopper: { fixedMs: 203, steps: 0.965, prefill: 1.26, queue: 0.057, burst: 0.0599 },
      blackwell: { fixedMs: 211, steps: 0.966, prefill: 1.29, queue: 0.0571, burst: 0.0614 },
      blackwellUltra: { fixedMs: 229, steps: 0.966, prefill: 1.28, queue: 0.0568, burst: 0.0604 },
      blackwellEarly: { fixedMs: 211, steps: 0.966, prefill: 1.29, queue: 0.0571, burst: 0.0614 },
    },
    trtllm: {
      hopper: { fixedMs: 457, steps: 0.95, prefill: 1.21, queue: 0.0541, burst: 0.0478 },
      blackwell: { fixedMs: 116, steps: 0.947, prefill: 1.1, queue: 0.0538, burst: 0.0467 },
      blackwellUltra: { fixedMs: 227, steps: 0.949, prefill: 1.17, queue: 0.0542, burst: 0.0468 },
      blackwellEarly: { fixedMs: 116, steps: 0.947, prefill: 1.1, queue: 0.0538, burst: 0.0467 },
    },
  },
};
