import type { BackendName, BackendTerms } from "./backend-terms.ts";
import type { Generation } from "../systems/coefficients-for.ts";

// Written by tools/calibrate/fit-serving.ts from 1811 measured deployments; do not edit.
export const fittedBackendTerms: Readonly<Record<BackendName, Readonly<Record<Generation, BackendTerms>>>> = {
  vllm: {
    hopper: {
      stepUs: 2120,
      perSequenceUs: 15.7,
      launchLayerUs: 119,
      decodeLayerUs: 2.99,
      workScale: 1.01,
      floorScale: 0.674,
    },
    blackwell: {
      stepUs: 1950,
      perSequenceUs: 14.3,
      launchLayerUs: 119,
      decodeLayerUs: 2.98,
      workScale: 1.01,
      floorScale: 0.671,
    },
    blackwellUltra: {
      stepUs: 1760,
      perSequenceUs: 13.3,
      launchLayerUs: 119,
      decodeLayerUs: 2.98,
      workScale: 1,
      floorScale: 0.659,
    },
    blackwellEarly: {
      stepUs: 1950,
      perSequenceUs: 14.3,
      launchLayerUs: 119,
      decodeLayerUs: 2.98,
      workScale: 1.01,
      floorScale: 0.671,
    },
  },
  sglang: {
    hopper: {
      stepUs: 1110,
      perSequenceUs: 16.3,
      launchLayerUs: 118,
      decodeLayerUs: 2.9,
      workScale: 0.99,
      floorScale: 0.738,
    },
    blackwell: {
      stepUs: 1240,
      perSequenceUs: 18.9,
      launchLayerUs: 118,
      decodeLayerUs: 2.91,
      workScale: 0.997,
      floorScale: 0.756,
    },
    blackwellUltra: {
      stepUs: 1140,
      perSequenceUs: 22.9,
      launchLayerUs: 118,
      decodeLayerUs: 2.9,
      workScale: 1,
      floorScale: 0.739,
    },
    blackwellEarly: {
      stepUs: 1830,
      perSequenceUs: 24.4,
      launchLayerUs: 118,
      decodeLayerUs: 2.94,
      workScale: 1.01,
      floorScale: 0.817,
    },
  },
  trtllm: {
    hopper: {
      stepUs: 579,
      perSequenceUs: 11.4,
      launchLayerUs: 559,
      decodeLayerUs: 2.79,
      workScale: 1,
      floorScale: 0.824,
    },
    blackwell: {
      stepUs: 570,
      perSequenceUs: 11.6,
      launchLayerUs: 561,
      decodeLayerUs: 2.78,
      workScale: 1,
      floorScale: 0.778,
    },
    blackwellUltra: {
      stepUs: 526,
      perSequenceUs: 11.1,
      launchLayerUs: 561,
      decodeLayerUs: 2.76,
      workScale: 0.999,
      floorScale: 0.735,
    },
    blackwellEarly: {
      stepUs: 663,
      perSequenceUs: 12,
      launchLayerUs: 573,
      decodeLayerUs: 2.81,
      workScale: 1.01,
      floorScale: 0.87,
    },
  },
};
