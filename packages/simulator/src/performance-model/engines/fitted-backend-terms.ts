import type { BackendName, BackendTerms } from "./backend-terms.ts";
import type { Generation } from "../systems/coefficients-for.ts";

// Written by tools/calibrate/fit-serving.ts from 1811 measured deployments; do not edit.
export const fittedBackendTerms: Readonly<Record<BackendName, Readonly<Record<Generation, BackendTerms>>>> = {
  vllm: {
    hopper: {
      stepUs: 2650,
      perSequenceUs: 19.8,
      prefillLayerUs: 27.4,
      decodeLayerUs: 3.05,
      workScale: 1.01,
      floorScale: 0.623,
    },
    blackwell: {
      stepUs: 2410,
      perSequenceUs: 17.5,
      prefillLayerUs: 27.2,
      decodeLayerUs: 3.04,
      workScale: 1.01,
      floorScale: 0.614,
    },
    blackwellUltra: {
      stepUs: 2140,
      perSequenceUs: 15.3,
      prefillLayerUs: 27,
      decodeLayerUs: 3.04,
      workScale: 1.01,
      floorScale: 0.601,
    },
  },
  sglang: {
    hopper: {
      stepUs: 1160,
      perSequenceUs: 16.5,
      prefillLayerUs: 25.3,
      decodeLayerUs: 2.98,
      workScale: 0.992,
      floorScale: 0.696,
    },
    blackwell: {
      stepUs: 1240,
      perSequenceUs: 19.3,
      prefillLayerUs: 25.5,
      decodeLayerUs: 2.99,
      workScale: 0.998,
      floorScale: 0.71,
    },
    blackwellUltra: {
      stepUs: 1170,
      perSequenceUs: 25.6,
      prefillLayerUs: 25.6,
      decodeLayerUs: 2.98,
      workScale: 1,
      floorScale: 0.701,
    },
  },
  trtllm: {
    hopper: {
      stepUs: 789,
      perSequenceUs: 15.8,
      prefillLayerUs: 27.5,
      decodeLayerUs: 2.89,
      workScale: 1.01,
      floorScale: 0.754,
    },
    blackwell: {
      stepUs: 747,
      perSequenceUs: 15.6,
      prefillLayerUs: 27.5,
      decodeLayerUs: 2.88,
      workScale: 1.01,
      floorScale: 0.713,
    },
    blackwellUltra: {
      stepUs: 684,
      perSequenceUs: 14.8,
      prefillLayerUs: 27.5,
      decodeLayerUs: 2.87,
      workScale: 1.01,
      floorScale: 0.686,
    },
  },
};
