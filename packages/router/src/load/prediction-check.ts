import type { PredictionRecord } from "../selector/selector.ts";

/** Below this many tokens on either side a request proves nothing. */
const LEAST_TOKENS = 64;
const LEAST_SAMPLES = 8;
const MEMORY = 32;
const GAP_BELOW = 0.5;
const NO_GAP_ABOVE = 0.8;
/** Own decisions, which count while a worker is understated, close that gap themselves: they get so many requests. */
const UNDERSTATED_REQUESTS = 1024;

/** Compares predicted with actual cached tokens of one worker. */
export interface PredictionCheck {
  readonly record: PredictionRecord;
  /** Returns true when a gap opened or closed by this sample. */
  observe(predictedTokens: number, actualTokens: number): boolean;
}

/** @param blockTokens an engine may find parts of blocks too; a router cannot foresee those */
export function createPredictionCheck(blockTokens: number): PredictionCheck {
  const overstated = createGap(0);
  const understated = createGap(UNDERSTATED_REQUESTS);
  let record: PredictionRecord = {
    requests: 0,
    predictedTokens: 0,
    actualTokens: 0,
    isDistrusted: false,
    isUnderstated: false,
  };
  return {
    get record() {
      return record;
    },
    observe(predictedTokens, actualTokens) {
      const { isDistrusted, isUnderstated } = record;
      record = {
        requests: record.requests + 1,
        predictedTokens: record.predictedTokens + predictedTokens,
        actualTokens: record.actualTokens + actualTokens,
        isDistrusted: overstated(predictedTokens, actualTokens),
        isUnderstated: understated(Math.floor(actualTokens / blockTokens) * blockTokens, predictedTokens),
      };
      return record.isDistrusted !== isDistrusted || record.isUnderstated !== isUnderstated;
    },
  };
}

/**
 * Whether, over the last requests, less than half of what one side says is borne out by the other. Once open, a gap stays so for
 * `leastRequests`.
 */
function createGap(leastRequests: number): (saidTokens: number, borneOutTokens: number) => boolean {
  let [said, borneOut, samples] = [0, 0, 0];
  let isOpen = false;
  let openedAt = 0;
  return (saidTokens, borneOutTokens) => {
    if (saidTokens < LEAST_TOKENS) return isOpen;
    samples++;
    const keep = 1 - 1 / MEMORY;
    said = said * keep + saidTokens;
    borneOut = borneOut * keep + Math.min(borneOutTokens, saidTokens);
    const share = borneOut / said;
    if (samples >= LEAST_SAMPLES && share < GAP_BELOW) {
      if (!isOpen) openedAt = samples;
      isOpen = true;
    } else if (share > NO_GAP_ABOVE && samples - openedAt >= leastRequests) isOpen = false;
    return isOpen;
  };
}
