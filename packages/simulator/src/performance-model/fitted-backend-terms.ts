import type { BackendName, BackendTerms } from "./backend-terms.ts";
import type { Generation } from "./coefficients-for.ts";

// Written by tools/calibrate/fit-serving.ts from 1811 measured deployments; do not edit.
export const fittedBackendTerms: Readonly<Record<BackendName, Readonly<Record<Generation, BackendTerms>>>> = {
  vllm: {
    hopper: {
      stepUs: 2860,
      perSequenceUs: 19.7,
      prefillLayerUs: 27.4,
      decodeLayerUs: 3.05,
      workScale: 1.01,
      floorScale: 0.627,
    },
    blackwell: {
      stepUs: 2580,
      perSequenceUs: 17.4,
      prefillLayerUs: 27.3,
      decodeLayerUs: 3.05,
      workScale: 1.01,
      floorScale: 0.618,
    },
    blackwellUltra: {
      stepUs: 2290,
      perSequenceUs: 15.3,
      prefillLayerUs: 27.1,
      decodeLayerUs: 3.04,
      workScale: 1.01,
      floorScale: 0.607,
    },
  },
  sglang: {
    hopper: {
      stepUs: 1300,
      perSequenceUs: 16.4,
      prefillLayerUs: 25.4,
      decodeLayerUs: 3,
      workScale: 0.992,
      floorScale: 0.71,
    },
    blackwell: {
      stepUs: 1400,
      perSequenceUs: 19.2,
      prefillLayerUs: 25.6,
      decodeLayerUs: 3,
      workScale: 0.998,
      floorScale: 0.724,
    },
    blackwellUltra: {
      stepUs: 1300,
      perSequenceUs: 25.4,
      prefillLayerUs: 25.7,
      decodeLayerUs: 3,
      workScale: 1,
      floorScale: 0.715,
    },
  },
  trtllm: {
    hopper: {
      stepUs: 884,
      perSequenceUs: 15.8,
      prefillLayerUs: 27.7,
      decodeLayerUs: 2.91,
      workScale: 1.01,
      floorScale: 0.781,
    },
    blackwell: {
      stepUs: 828,
      perSequenceUs: 15.6,
      prefillLayerUs: 27.6,
      decodeLayerUs: 2.9,
      workScale: 1.01,
      floorScale: 0.738,
    },
    blackwellUltra: {
      stepUs: 751,
      perSequenceUs: 14.8,
      prefillLayerUs: 27.6,
      decodeLayerUs: 2.88,
      workScale: 1.01,
      floorScale: 0.71,
    },
  },
};
