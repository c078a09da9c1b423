import type { Policy } from "../selector/selector.ts";
import { lowest } from "./lowest.ts";

/** Each candidate in turn, in order of joining. */
export function roundRobin(): Policy {
  let turn = 0;
  return function roundRobin({ candidates }) {
    return candidates[turn++ % candidates.length];
  };
}

/** Any candidate, uniformly. */
export function random(): Policy {
  return function random(input) {
    return input.candidates[Math.floor(input.random() * input.candidates.length)];
  };
}

/** The candidate with the least work: prompt tokens to compute, then active requests. */
export function leastLoaded(): Policy {
  return function leastLoaded({ candidates }) {
    return lowest(
      candidates,
      (candidate) => candidate.queuedPrefillTokens / candidate.blockTokens + candidate.decodeBlocks,
    );
  };
}

/** The less loaded of two drawn at random (Mitzenmacher 2001). */
export function powerOfTwo(): Policy {
  return function powerOfTwo({ candidates, random: draw }) {
    const first = Math.floor(draw() * candidates.length);
    let second = Math.floor(draw() * (candidates.length - 1));
    if (second >= first) second++;
    const [a, b] = [candidates[first], candidates[second]];
    if (a === undefined || b === undefined) return a ?? b;
    return b.queueMs < a.queueMs || (b.queueMs === a.queueMs && b.activeRequests < a.activeRequests) ? b : a;
  };
}
