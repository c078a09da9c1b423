import type { PredictionRecord } from "../selector/selector.ts";

/** Predictions below this many tokens prove nothing either way. */
const LEAST_TOKENS = 64;
const LEAST_SAMPLES = 8;
const MEMORY = 32;
const DISTRUST_BELOW = 0.5;
const TRUST_ABOVE = 0.8;

/** Compares predicted with actual cached tokens of one worker. */
export interface PredictionCheck {
  readonly record: PredictionRecord;
  /** Returns true when trust changed by this sample. */
  observe(predictedTokens: number, actualTokens: number): boolean;
}

export function createPredictionCheck(): PredictionCheck {
  let record: PredictionRecord = { requests: 0, predictedTokens: 0, actualTokens: 0, isDistrusted: false };
  let [recentPredicted, recentActual, samples] = [0, 0, 0];
  return {
    get record() {
      return record;
    },
    observe(predictedTokens, actualTokens) {
      const wasDistrusted = record.isDistrusted;
      let isDistrusted = wasDistrusted;
      if (predictedTokens >= LEAST_TOKENS) {
        samples++;
        const keep = 1 - 1 / MEMORY;
        recentPredicted = recentPredicted * keep + predictedTokens;
        recentActual = recentActual * keep + Math.min(actualTokens, predictedTokens);
        const share = recentActual / recentPredicted;
        if (samples >= LEAST_SAMPLES && share < DISTRUST_BELOW) isDistrusted = true;
        else if (share > TRUST_ABOVE) isDistrusted = false;
      }
      record = {
        requests: record.requests + 1,
        predictedTokens: record.predictedTokens + predictedTokens,
        actualTokens: record.actualTokens + actualTokens,
        isDistrusted,
      };
      return isDistrusted !== wasDistrusted;
    },
  };
}
