import type { Clock } from "@stator/core";

/** How fast this engine has been, and the step in flight. */
export interface StepEstimate {
  readonly steps: number;
  /** Milliseconds the step in flight has run; 0 between steps. */
  ageMs(): number;
  readonly expectedMs: number;
  /** Milliseconds for so many prompt tokens, by what was measured so far. */
  prefillMs(tokens: number): number;
  /** How many prompt tokens to compute at once, at most `most`, so that an abort takes effect within about 100 ms. */
  chunkTokens(most: number): number;
  begin(tokens: number): void;
  end(): void;
}

/** Steps with at least so many tokens tell how fast prompts are computed. */
const prefillSampleTokens = 32;
const smoothing = 0.3;
const chunkMs = 100;
const leastChunkTokens = 32;

export function createStepEstimate(clock: Clock): StepEstimate {
  let steps = 0;
  let startedMs: number | undefined;
  let stepTokens = 0;
  let decodeMs = 1;
  let prefillTokenMs = 0.05;
  const expected = (tokens: number): number => Math.max(decodeMs, tokens * prefillTokenMs);
  const end = (): void => {
    if (startedMs === undefined) return;
    const took = clock.now() - startedMs;
    startedMs = undefined;
    steps++;
    if (stepTokens >= prefillSampleTokens) prefillTokenMs += smoothing * (took / stepTokens - prefillTokenMs);
    else decodeMs += smoothing * (took - decodeMs);
  };
  return {
    get steps() {
      return steps;
    },
    ageMs: () => (startedMs === undefined ? 0 : clock.now() - startedMs),
    get expectedMs() {
      return startedMs === undefined ? 0 : expected(stepTokens);
    },
    prefillMs: (tokens) => tokens * prefillTokenMs,
    chunkTokens: (most) => Math.min(most, Math.max(leastChunkTokens, Math.floor(chunkMs / prefillTokenMs))),
    begin(tokens) {
      end();
      startedMs = clock.now();
      stepTokens = tokens;
    },
    end,
  };
}
