/** How far ahead forecasts must reach, in samples. */
export interface Horizon {
  readonly horizonSteps: number;
  readonly leadSteps: number;
}

/**
 * The horizon is start-up time plus interval: a worker that is given up now can be missed until then. Workers can be
 * ordered with every sample, so that the lead, what has to be ordered now, is start-up time plus one sample.
 */
export function horizonOf(times: {
  readonly startupMs: number;
  readonly intervalMs: number;
  readonly sampleMs: number;
}): Horizon {
  const { startupMs, intervalMs, sampleMs } = times;
  const steps = (ms: number): number => Math.max(1, Math.ceil(ms / sampleMs - 1e-6));
  return { horizonSteps: steps(startupMs + intervalMs), leadSteps: steps(startupMs + sampleMs) };
}
