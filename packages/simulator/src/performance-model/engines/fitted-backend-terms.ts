import type { BackendName, BackendTerms } from "./backend-terms.ts";
import type { Generation } from "../systems/coefficients-for.ts";

// Written by tools/calibrate/fit-serving.ts from 1811 measured deployments; do not edit.
export const fittedBackendTerms: Readonly<Record<BackendName, Readonly<Record<Generation, BackendTerms>>>> = {
  vllm: {
    hopper: {
      stepUs: 1850,
      perSequenceUs: 22.3,
      launchLayerUs: 102,
      decodeLayerUs: 3.02,
      workScale: 1.01,
      floorScale: 0.699,
    },
    blackwell: {
      stepUs: 1680,
      perSequenceUs: 19.1,
      launchLayerUs: 102,
      decodeLayerUs: 3.01,
      workScale: 1.01,
      floorScale: 0.691,
    },
    blackwellUltra: {
      stepUs: 1560,
      perSequenceUs: 16.5,
      launchLayerUs: 102,
      decodeLayerUs: 3,
      workScale: 1,
      floorScale: 0.676,
    },
    blackwellEarly: {
      stepUs: 2150,
      perSequenceUs: 24.4,
      launchLayerUs: 102,
      decodeLayerUs: 3.02,
      workScale: 1.01,
      floorScale: 0.707,
    },
  },
  sglang: {
    hopper: {
      stepUs: 1140,
      perSequenceUs: 16.1,
      launchLayerUs: 101,
      decodeLayerUs: 2.97,
      workScale: 1,
      floorScale: 0.724,
    },
    blackwell: {
      stepUs: 1240,
      perSequenceUs: 19.1,
      launchLayerUs: 101,
      decodeLayerUs: 2.98,
      workScale: 1.01,
      floorScale: 0.736,
    },
    blackwellUltra: {
      stepUs: 1140,
      perSequenceUs: 23.2,
      launchLayerUs: 101,
      decodeLayerUs: 2.97,
      workScale: 1.01,
      floorScale: 0.719,
    },
    blackwellEarly: {
      stepUs: 1760,
      perSequenceUs: 23.6,
      launchLayerUs: 101,
      decodeLayerUs: 3,
      workScale: 1.01,
      floorScale: 0.786,
    },
  },
  trtllm: {
    hopper: {
      stepUs: 636,
      perSequenceUs: 16.4,
      launchLayerUs: 102,
      decodeLayerUs: 2.84,
      workScale: 0.997,
      floorScale: 0.793,
    },
    blackwell: {
      stepUs: 623,
      perSequenceUs: 16,
      launchLayerUs: 102,
      decodeLayerUs: 2.83,
      workScale: 0.998,
      floorScale: 0.755,
    },
    blackwellUltra: {
      stepUs: 569,
      perSequenceUs: 15,
      launchLayerUs: 102,
      decodeLayerUs: 2.81,
      workScale: 0.994,
      floorScale: 0.712,
    },
    blackwellEarly: {
      stepUs: 750,
      perSequenceUs: 17.3,
      launchLayerUs: 102,
      decodeLayerUs: 2.86,
      workScale: 1.01,
      floorScale: 0.842,
    },
  },
};
