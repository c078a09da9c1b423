import type { BackendName, BackendTerms } from "./backend-terms.ts";
import type { Architecture } from "./coefficients-for.ts";

// Written by tools/calibrate/fit-serving.ts from 1811 measured deployments; do not edit.
export const fittedBackendTerms: Readonly<Record<BackendName, Readonly<Record<Architecture, BackendTerms>>>> =
  {
    vllm: {
      hopper: {
        stepUs: 1580,
        perSequenceUs: 40.6,
        prefillLayerUs: 31.5,
        decodeLayerUs: 3.3,
        workScale: 1.03,
        floorScale: 0.774,
      },
      blackwell: {
        stepUs: 1400,
        perSequenceUs: 7.19,
        prefillLayerUs: 24.9,
        decodeLayerUs: 3.13,
        workScale: 1,
        floorScale: 0.8,
      },
    },
    sglang: {
      hopper: {
        stepUs: 850,
        perSequenceUs: 16.3,
        prefillLayerUs: 22,
        decodeLayerUs: 3.1,
        workScale: 1,
        floorScale: 0.573,
      },
      blackwell: {
        stepUs: 680,
        perSequenceUs: 27.2,
        prefillLayerUs: 26.6,
        decodeLayerUs: 3.1,
        workScale: 1.11,
        floorScale: 0.839,
      },
    },
    trtllm: {
      hopper: {
        stepUs: 754,
        perSequenceUs: 14.4,
        prefillLayerUs: 43.3,
        decodeLayerUs: 3.17,
        workScale: 1,
        floorScale: 0.8,
      },
      blackwell: {
        stepUs: 490,
        perSequenceUs: 15.6,
        prefillLayerUs: 26.6,
        decodeLayerUs: 2.92,
        workScale: 1.07,
        floorScale: 0.748,
      },
    },
  };
