import type { ServingTerms } from "./serving-terms.ts";

// Written by tools/calibrate/fit-serving.ts from 1811 measured deployments; do not edit.
export const fittedServingTerms: ServingTerms = {
  scheduling: {
    vllm: {
      hopper: { prefillInterference: 1.02, dataStall: 0.292 },
      blackwell: { prefillInterference: 1.03, dataStall: 0.292 },
      blackwellUltra: { prefillInterference: 0.995, dataStall: 0.292 },
      blackwellEarly: { prefillInterference: 1.03, dataStall: 0.292 },
    },
    sglang: {
      hopper: { prefillInterference: 0.792, dataStall: 0.29 },
      blackwell: { prefillInterference: 0.865, dataStall: 0.29 },
      blackwellUltra: { prefillInterference: 0.887, dataStall: 0.29 },
      blackwellEarly: { prefillInterference: 0.958, dataStall: 0.29 },
    },
    trtllm: {
      hopper: { prefillInterference: 0.987, dataStall: 0.279 },
      blackwell: { prefillInterference: 0.986, dataStall: 0.279 },
      blackwellUltra: { prefillInterference: 0.986, dataStall: 0.279 },
      blackwellEarly: { prefillInterference: 0.984, dataStall: 0.279 },
    },
  },
  aggregated: {
    vllm: {
      hopper: { fixedMs: 40.9, steps: 1.71, prefill: 1.01, queue: 0.189, burst: 0.0712 },
      blackwell: { fixedMs: 43.2, steps: 1.77, prefill: 1.15, queue: 0.189, burst: 0.08 },
      blackwellUltra: { fixedMs: 23.3, steps: 1.72, prefill: 1.03, queue: 0.189, burst: 0.0753 },
      blackwellEarly: { fixedMs: 43.2, steps: 1.77, prefill: 1.15, queue: 0.189, burst: 0.08 },
    },
    sglang: {
      hopper: { fixedMs: 118, steps: 2.73, prefill: 1.05, queue: 0.19, burst: 0.0756 },
      blackwell: { fixedMs: 87.1, steps: 2.73, prefill: 1.07, queue: 0.19, burst: 0.0765 },
      blackwellUltra: { fixedMs: 103, steps: 2.74, prefill: 1.09, queue: 0.19, burst: 0.0764 },
      blackwellEarly: { fixedMs: 87.1, steps: 2.73, prefill: 1.07, queue: 0.19, burst: 0.0765 },
    },
    trtllm: {
      hopper: { fixedMs: 70.9, steps: 4.22, prefill: 1.4, queue: 0.186, burst: 0.0664 },
      blackwell: { fixedMs: 68.3, steps: 4.12, prefill: 1.31, queue: 0.186, burst: 0.0685 },
      blackwellUltra: { fixedMs: 67.3, steps: 4.11, prefill: 1.31, queue: 0.186, burst: 0.0676 },
      blackwellEarly: { fixedMs: 68.3, steps: 4.12, prefill: 1.31, queue: 0.186, burst: 0.0685 },
    },
  },
  disaggregated: {
    vllm: {
      hopper: { fixedMs: 188, steps: 0.947, prefill: 1.25, queue: 0.0569, burst: 0.0397 },
      blackwell: { fixedMs: 223, steps: 0.947, prefill: 1.29, queue: 0.0569, burst: 0.0393 },
      blackwellUltra: { fixedMs: 200, steps: 0.948, prefill: 1.26, queue: 0.0569, burst: 0.0399 },
      blackwellEarly: { fixedMs: 223, steps: 0.947, prefill: 1.29, queue: 0.0569, burst: 0.0393 },
    },
    sglang: {
      hopper: { fixedMs: 204, steps: 0.979, prefill: 1.27, queue: 0.0562, burst: 0.0599 },
      blackwell: { fixedMs: 210, steps: 0.98, prefill: 1.29, queue: 0.0563, burst: 0.0614 },
      blackwellUltra: { fixedMs: 228, steps: 0.98, prefill: 1.28, queue: 0.056, burst: 0.0604 },
      blackwellEarly: { fixedMs: 210, steps: 0.98, prefill: 1.29, queue: 0.0563, burst: 0.0614 },
    },
    trtllm: {
      hopper: { fixedMs: 455, steps: 0.962, prefill: 1.21, queue: 0.0536, burst: 0.0477 },
      blackwell: { fixedMs: 115, steps: 0.959, prefill: 1.11, queue: 0.0533, burst: 0.0466 },
      blackwellUltra: { fixedMs: 227, steps: 0.961, prefill: 1.17, queue: 0.0536, burst: 0.0467 },
      blackwellEarly: { fixedMs: 115, steps: 0.959, prefill: 1.11, queue: 0.0533, burst: 0.0466 },
    },
  },
};
