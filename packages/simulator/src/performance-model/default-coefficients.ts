import type { Coefficients, EfficiencyCurve } from "./coefficients.ts";

const matrix: EfficiencyCurve = { compute: 0.75, memory: 0.8, floorUs: 3, halfWave: 0.1 };

export const defaultCoefficients: Coefficients = {
  matrix: {
    bf16: matrix,
    fp8: { ...matrix, compute: 0.65 },
    "fp8-block": { ...matrix, compute: 0.55 },
    int8: matrix,
    nvfp4: { ...matrix, compute: 0.55 },
    mxfp4: { ...matrix, compute: 0.5 },
    w4a16: { ...matrix, compute: 0.5 },
    w8a16: { ...matrix, compute: 0.6 },
  },
  headMatrix: { compute: 0.4, memory: 0.6, floorUs: 3, halfWave: 0.2 },
  prefillAttention: { compute: 0.55, memory: 0.7, floorUs: 8, halfWave: 0.3 },
  prefillLatent: { compute: 0.5, memory: 0.7, floorUs: 8, halfWave: 0.3 },
  decodeAttention: { compute: 0.3, memory: 0.7, floorUs: 4, halfWave: 0.2 },
  decodeLatent: { compute: 0.4, memory: 0.6, floorUs: 6, halfWave: 0.2 },
  linearAttention: { compute: 0.2, memory: 0.6, floorUs: 10, halfWave: 0.2 },
  experts: { compute: 0.5, memory: 0.7, floorUs: 8, halfWave: 0.2, imbalance: 1.3, routingUs: 6 },
  elementwise: { memory: 0.8, floorUs: 1.5 },
  collective: {
    allReduceUs: 6,
    perPeerUs: 0.4,
    otherUs: 10,
    networkUs: 20,
    bandwidth: 0.65,
    networkBandwidth: 0.75,
  },
  overlap: 3,
};
