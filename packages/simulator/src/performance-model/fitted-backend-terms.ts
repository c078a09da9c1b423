import type { BackendName, BackendTerms } from "./backend-terms.ts";
import type { Architecture } from "./coefficients-for.ts";

const terms: BackendTerms = {
  stepUs: 600,
  perSequenceUs: 8,
  prefillLayerUs: 25,
  decodeLayerUs: 3,
  workScale: 1,
  floorScale: 0.8,
};

export const fittedBackendTerms: Readonly<Record<BackendName, Readonly<Record<Architecture, BackendTerms>>>> =
  {
    vllm: { hopper: terms, blackwell: terms },
    sglang: { hopper: terms, blackwell: terms },
    trtllm: { hopper: terms, blackwell: terms },
  };
