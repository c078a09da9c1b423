import type { RateView } from "./views.ts";

/** Figures of the last seconds: one point a second, percentiles over the last ten. */
export interface RateMeter {
  started(): void;
  ended(): void;
  ttft(ms: number): void;
  tokens(count: number, gapMs: number | undefined): void;
  prompt(tokens: number, cachedTokens: number): void;
  /** Closes the second that ends now. */
  tick(nowMs: number): RateView;
  readonly history: readonly RateView[];
}

/** Seconds of history that a new page gets. */
const historySeconds = 120;
/** Seconds over which percentiles are taken. */
const windowSeconds = 10;
/** Samples kept of each second; beyond, every sample replaces a random one. */
const mostSamples = 512;

interface Second {
  ended: number;
  tokens: number;
  promptTokens: number;
  cachedTokens: number;
  readonly ttft: number[];
  readonly itl: number[];
}

const emptySecond = (): Second => ({
  ended: 0,
  tokens: 0,
  promptTokens: 0,
  cachedTokens: 0,
  ttft: [],
  itl: [],
});

export function createRateMeter(startMs: number): RateMeter {
  let second = emptySecond();
  let lastMs = startMs;
  let active = 0;
  const window: Second[] = [];
  const history: RateView[] = [];

  return {
    history,
    started: () => void (active += 1),
    ended() {
      active -= 1;
      second.ended += 1;
    },
    ttft: (ms) => keep(second.ttft, ms),
    tokens(count, gapMs) {
      second.tokens += count;
      if (gapMs !== undefined) keep(second.itl, gapMs / count);
    },
    prompt(tokens, cachedTokens) {
      second.promptTokens += tokens;
      second.cachedTokens += cachedTokens;
    },
    tick(nowMs) {
      const seconds = Math.max(0.001, (nowMs - lastMs) / 1000);
      lastMs = nowMs;
      window.push(second);
      if (window.length > windowSeconds) window.shift();
      const ttft = window.flatMap((s) => s.ttft).sort((a, b) => a - b);
      const itl = window.flatMap((s) => s.itl).sort((a, b) => a - b);
      const prompts = window.reduce((sum, s) => sum + s.promptTokens, 0);
      const point: RateView = {
        atMs: nowMs,
        requestsPerSecond: second.ended / seconds,
        outputTokensPerSecond: second.tokens / seconds,
        active,
        ...(ttft.length === 0 ? {} : { ttftP50Ms: quantile(ttft, 0.5), ttftP99Ms: quantile(ttft, 0.99) }),
        ...(itl.length === 0 ? {} : { itlP50Ms: quantile(itl, 0.5), itlP99Ms: quantile(itl, 0.99) }),
        ...(prompts === 0 ? {} : { hitRatio: window.reduce((sum, s) => sum + s.cachedTokens, 0) / prompts }),
      };
      second = emptySecond();
      history.push(point);
      if (history.length > historySeconds) history.shift();
      return point;
    },
  };
}

function keep(samples: number[], value: number): void {
  if (samples.length < mostSamples) samples.push(value);
  else samples[Math.floor(Math.random() * mostSamples)] = value;
}

function quantile(sorted: readonly number[], q: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] as number;
}
