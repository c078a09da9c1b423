import type { BackendName, BackendTerms } from "./backend-terms.ts";
import type { Generation } from "../systems/coefficients-for.ts";

// Written by tools/calibrate/fit-serving.ts from 1811 measured deployments; do not edit.
export const fittedBackendTerms: Readonly<Record<BackendName, Readonly<Record<Generation, BackendTerms>>>> = {
  vllm: {
    hopper: {
      stepUs: 2170,
      perSequenceUs: 15,
      launchLayerUs: 120,
      decodeLayerUs: 2.98,
      workScale: 1.01,
      floorScale: 0.669,
    },
    blackwell: {
      stepUs: 2000,
      perSequenceUs: 13.8,
      launchLayerUs: 120,
      decodeLayerUs: 2.98,
      workScale: 1.01,
      floorScale: 0.667,
    },
    blackwellUltra: {
      stepUs: 1800,
      perSequenceUs: 13,
      launchLayerUs: 120,
      decodeLayerUs: 2.97,
      workScale: 1,
      floorScale: 0.654,
    },
    blackwellEarly: {
      stepUs: 2000,
      perSequenceUs: 13.8,
      launchLayerUs: 120,
      decodeLayerUs: 2.98,
      workScale: 1.01,
      floorScale: 0.667,
    },
  },
  sglang: {
    hopper: {
      stepUs: 1210,
      perSequenceUs: 15.3,
      launchLayerUs: 118,
      decodeLayerUs: 2.9,
      workScale: 0.987,
      floorScale: 0.73,
    },
    blackwell: {
      stepUs: 1350,
      perSequenceUs: 16.5,
      launchLayerUs: 118,
      decodeLayerUs: 2.91,
      workScale: 0.994,
      floorScale: 0.746,
    },
    blackwellUltra: {
      stepUs: 1250,
      perSequenceUs: 16.1,
      launchLayerUs: 118,
      decodeLayerUs: 2.9,
      workScale: 0.994,
      floorScale: 0.73,
    },
    blackwellEarly: {
      stepUs: 2070,
      perSequenceUs: 23.2,
      launchLayerUs: 118,
      decodeLayerUs: 2.93,
      workScale: 1.01,
      floorScale: 0.803,
    },
  },
  trtllm: {
    hopper: {
      stepUs: 611,
      perSequenceUs: 9.67,
      launchLayerUs: 560,
      decodeLayerUs: 2.79,
      workScale: 0.999,
      floorScale: 0.819,
    },
    blackwell: {
      stepUs: 599,
      perSequenceUs: 9.55,
      launchLayerUs: 564,
      decodeLayerUs: 2.78,
      workScale: 0.998,
      floorScale: 0.773,
    },
    blackwellUltra: {
      stepUs: 552,
      perSequenceUs: 8.89,
      launchLayerUs: 564,
      decodeLayerUs: 2.77,
      workScale: 0.994,
      floorScale: 0.732,
    },
    blackwellEarly: {
      stepUs: 713,
      perSequenceUs: 10,
      launchLayerUs: 578,
      decodeLayerUs: 2.81,
      workScale: 1,
      floorScale: 0.868,
    },
  },
};
