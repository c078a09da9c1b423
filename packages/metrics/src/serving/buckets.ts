// Edges of the serving histograms, from section 6 of the reliability and observability specification: dense where
// objectives are usually set, and wider than those of vLLM and OpenTelemetry, whose inter-token edges start at 10 ms.

/** Time to first token, seconds. */
export const ttftBuckets: readonly number[] = [
  0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 1.5, 2, 3, 5, 7.5, 10, 20, 40, 80,
];

/** Time between output tokens, seconds. */
export const itlBuckets: readonly number[] = [
  0.001, 0.0025, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.025, 0.03, 0.04, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5,
  1, 2,
];

/** Whole requests, seconds: 0.1 to 512 (0.1 doubled 12 times gives 409.6, closed by 512). */
export const durationBuckets: readonly number[] = [
  0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 51.2, 102.4, 204.8, 409.6, 512,
];

/** Sequence lengths in tokens, powers of two. */
export const tokenBuckets: readonly number[] = [
  1, 4, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768, 65536, 131072,
];

/** Shares from 0 to 1. */
export const ratioBuckets: readonly number[] = [
  0, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1,
];

/** Decisions and other work of our own, seconds: 10 µs to 100 ms. */
export const decisionBuckets: readonly number[] = [
  0.00001, 0.000025, 0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1,
];

/** Stages, gaps and transfers, seconds. */
export const stageBuckets: readonly number[] = [
  0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60,
];

/** `buckets` with every one of `edges` among them, so that a share below an edge is exact and not interpolated. */
export function withEdges(buckets: readonly number[], edges: readonly number[]): readonly number[] {
  return [...new Set([...buckets, ...edges])].sort((a, b) => a - b);
}
