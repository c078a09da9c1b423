/** Eight of ten measured deployments lay between these multiples of the prediction. */
export interface ErrorBand {
  readonly tpot: readonly [low: number, high: number];
  readonly ttft: readonly [low: number, high: number];
}

// Written by tools/calibrate/accuracy.ts; do not edit.
export const errorBands: Readonly<Record<"agg" | "disagg", ErrorBand>> = {
  agg: { tpot: [0.91, 1.14], ttft: [0.74, 2.75] },
  disagg: { tpot: [0.83, 1.12], ttft: [0.71, 5.18] },
};
