/** Eight of ten measured deployments lay between these multiples of the prediction. */
export interface ErrorBand {
  readonly tpot: readonly [low: number, high: number];
  readonly ttft: readonly [low: number, high: number];
}

// Written by tools/calibrate/accuracy.ts; do not edit.
export const errorBands: Readonly<Record<"agg" | "disagg", ErrorBand>> = {
  agg: { tpot: [0.89, 1.13], ttft: [0.7, 1.7] },
  disagg: { tpot: [0.85, 1.1], ttft: [0.6, 2] },
};
