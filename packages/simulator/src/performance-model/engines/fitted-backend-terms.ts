import type { BackendName, BackendTerms } from "./backend-terms.ts";
import type { Generation } from "../systems/coefficients-for.ts";

// Written by tools/calibrate/fit-serving.ts from 1811 measured deployments; do not edit.
export const fittedBackendTerms: Readonly<Record<BackendName, Readonly<Record<Generation, BackendTerms>>>> = {
  vllm: {
    hopper: {
      stepUs: 1740,
      perSequenceUs: 15.4,
      launchLayerUs: 121,
      decodeLayerUs: 3.01,
      workScale: 1.01,
      floorScale: 0.717,
    },
    blackwell: {
      stepUs: 1650,
      perSequenceUs: 14.1,
      launchLayerUs: 121,
      decodeLayerUs: 3.01,
      workScale: 1.01,
      floorScale: 0.714,
    },
    blackwellUltra: {
      stepUs: 1510,
      perSequenceUs: 13.1,
      launchLayerUs: 121,
      decodeLayerUs: 3,
      workScale: 0.999,
      floorScale: 0.699,
    },
    blackwellEarly: {
      stepUs: 1650,
      perSequenceUs: 14.1,
      launchLayerUs: 121,
      decodeLayerUs: 3.01,
      workScale: 1.01,
      floorScale: 0.714,
    },
  },
  sglang: {
    hopper: {
      stepUs: 990,
      perSequenceUs: 15.3,
      launchLayerUs: 119,
      decodeLayerUs: 2.93,
      workScale: 0.999,
      floorScale: 0.768,
    },
    blackwell: {
      stepUs: 1070,
      perSequenceUs: 17.4,
      launchLayerUs: 119,
      decodeLayerUs: 2.94,
      workScale: 1.01,
      floorScale: 0.785,
    },
    blackwellUltra: {
      stepUs: 986,
      perSequenceUs: 20.8,
      launchLayerUs: 119,
      decodeLayerUs: 2.93,
      workScale: 1.01,
      floorScale: 0.764,
    },
    blackwellEarly: {
      stepUs: 1510,
      perSequenceUs: 22,
      launchLayerUs: 119,
      decodeLayerUs: 2.97,
      workScale: 1.02,
      floorScale: 0.855,
    },
  },
  trtllm: {
    hopper: {
      stepUs: 489,
      perSequenceUs: 10.9,
      launchLayerUs: 569,
      decodeLayerUs: 2.78,
      workScale: 0.994,
      floorScale: 0.84,
    },
    blackwell: {
      stepUs: 487,
      perSequenceUs: 11.1,
      launchLayerUs: 572,
      decodeLayerUs: 2.77,
      workScale: 0.995,
      floorScale: 0.794,
    },
    blackwellUltra: {
      stepUs: 454,
      perSequenceUs: 10.7,
      launchLayerUs: 572,
      decodeLayerUs: 2.75,
      workScale: 0.992,
      floorScale: 0.749,
    },
    blackwellEarly: {
      stepUs: 553,
      perSequenceUs: 11.5,
      launchLayerUs: 584,
      decodeLayerUs: 2.8,
      workScale: 1,
      floorScale: 0.891,
    },
  },
};
