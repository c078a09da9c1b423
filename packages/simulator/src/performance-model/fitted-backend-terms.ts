import type { BackendName, BackendTerms } from "./backend-terms.ts";
import type { Architecture } from "./coefficients-for.ts";

// Written by tools/calibrate/fit-serving.ts from 1811 measured deployments; do not edit.
export const fittedBackendTerms: Readonly<Record<BackendName, Readonly<Record<Architecture, BackendTerms>>>> =
  {
    vllm: {
      hopper: {
        stepUs: 1760,
        perSequenceUs: 37.1,
        prefillLayerUs: 27.7,
        decodeLayerUs: 3.36,
        workScale: 1,
        floorScale: 0.8,
      },
      blackwell: {
        stepUs: 1800,
        perSequenceUs: 5.45,
        prefillLayerUs: 24.2,
        decodeLayerUs: 3.19,
        workScale: 1,
        floorScale: 0.714,
      },
    },
    sglang: {
      hopper: {
        stepUs: 771,
        perSequenceUs: 16.5,
        prefillLayerUs: 23.1,
        decodeLayerUs: 3.09,
        workScale: 1,
        floorScale: 0.638,
      },
      blackwell: {
        stepUs: 773,
        perSequenceUs: 23.3,
        prefillLayerUs: 26.6,
        decodeLayerUs: 3.13,
        workScale: 1.08,
        floorScale: 0.8,
      },
    },
    trtllm: {
      hopper: {
        stepUs: 664,
        perSequenceUs: 15.3,
        prefillLayerUs: 41.4,
        decodeLayerUs: 3.03,
        workScale: 1,
        floorScale: 0.867,
      },
      blackwell: {
        stepUs: 401,
        perSequenceUs: 12.2,
        prefillLayerUs: 27.3,
        decodeLayerUs: 2.93,
        workScale: 1.11,
        floorScale: 0.724,
      },
    },
  };
